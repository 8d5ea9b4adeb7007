"""Settings: what is shipped equals the defaults, what is not known is refused, nothing changes."""

import tomllib
from importlib.resources import files
from pathlib import Path
from typing import Any, Literal

import pytest
from pydantic import BaseModel, Field, ValidationError

from unet2015.errors import SettingsError, UsageError
from unet2015.settings import (
    NETWORK_KINDS,
    PUBLISHED,
    SHIPPED,
    AnyNetworkSettings,
    AugmentationSettings,
    Frozen,
    Mapping,
    NetworkSettings,
    TrainingSettings,
    load_settings,
    parse_settings,
)


def written(folder: Path, text: str) -> Path:
    path = folder / "mine.toml"
    path.write_text(text, encoding="utf-8")
    return path


def refusal(folder: Path, text: str) -> str:
    """Return the message with which a file of this text is refused."""
    with pytest.raises(SettingsError) as refused:
        load_settings(written(folder, text))
    return str(refused.value)


def kinds(model: type[BaseModel]) -> list[type[BaseModel]]:
    """A kind of settings and those below it; of networks, those of every kind."""
    below = [field.annotation for field in model.model_fields.values()]
    nested = [kind for kind in below if isinstance(kind, type) and issubclass(kind, BaseModel)]
    if AnyNetworkSettings in nested:
        nested = [kind for kind in nested if kind is not AnyNetworkSettings] + [*NETWORK_KINDS.values()]
    return [model, *(deeper for kind in nested for deeper in kinds(kind))]


def leaves(values: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    found: dict[str, Any] = {}
    for key, value in values.items():
        found |= leaves(value, f"{prefix}{key}.") if isinstance(value, dict) else {prefix + key: value}
    return found


# The shipped file


@pytest.mark.parametrize("name", [None, "ronneberger2015", "ronneberger2015.toml"])
def test_the_shipped_file_equals_the_defaults(name: str | None) -> None:
    assert load_settings(name) == TrainingSettings()


def test_the_shipped_file_spells_out_every_setting_that_has_a_value() -> None:
    """TOML has no null: what is absent by default is left out."""
    shipped = leaves(tomllib.loads(files("unet2015.settings").joinpath("ronneberger2015.toml").read_text()))
    defaults = leaves(TrainingSettings().model_dump(mode="json"))
    assert shipped == {key: value for key, value in defaults.items() if value is not None}
    assert {key for key, value in defaults.items() if value is None} == {"labels.ignore", "validation.pages"}


def test_what_the_paper_fixes_is_the_default() -> None:
    settings = TrainingSettings()
    assert (settings.network.width, settings.network.depth, settings.network.variant) == (64, 4, "paper")
    assert (settings.weight_map.w0, settings.weight_map.sigma) == (10, 5)
    assert (settings.augmentation.elastic_std, settings.augmentation.elastic_grid) == (10, 3)
    assert (settings.optimisation.momentum, settings.optimisation.tile) == (0.99, 572)


def test_a_file_of_that_name_in_the_folder_wins_over_the_shipped_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "ronneberger2015.toml").write_text("seed = 3")
    assert load_settings("ronneberger2015.toml").seed == 3
    assert load_settings().seed == 0


@pytest.mark.parametrize("name", [*SHIPPED, *PUBLISHED])
def test_every_shipped_file_is_taken_by_name_with_or_without_its_ending(name: str) -> None:
    assert load_settings(name) == load_settings(f"{name}.toml") == load_settings(Path(name))


def test_a_folder_of_that_name_does_not_hide_the_shipped_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    expected = load_settings("quick")
    monkeypatch.chdir(tmp_path)
    (tmp_path / "quick").mkdir()
    assert load_settings("quick") == expected


def test_the_faster_recipes_are_the_paper_s_settings_but_for_what_they_name() -> None:
    paper, quick, gpu = (leaves(load_settings(name).model_dump()) for name in SHIPPED)
    for other in (quick, gpu):
        changed = {key for key in paper if other[key] != paper[key]}
        assert {"optimisation.optimizer", "optimisation.steps"} < changed
        assert not any(key.startswith(("labels", "validation.fraction")) for key in changed)
    assert quick["network.width"] < gpu["network.width"] == paper["network.width"]


RECIPES: dict[str, dict[str, Any]] = {
    "ronneberger2015": {
        "network.width": 64, "network.dropout": 0.2, "optimisation.optimizer": "sgd",
        "optimisation.learning_rate": 3e-3, "optimisation.warmup": 100, "optimisation.clip": 1.0,
        "optimisation.steps": 20_000, "optimisation.precision": "float32",
        "augmentation.interpolation": "bilinear", "validation.interval": 500,
    },
    "quick": {
        "network.width": 16, "network.dropout": 0.0, "optimisation.optimizer": "muon",
        "optimisation.learning_rate": 2e-3, "optimisation.warmup": 50, "optimisation.clip": 0.3,
        "optimisation.momentum": 0.95, "optimisation.momentum_ramp": 0,
        "optimisation.steps": 600, "optimisation.precision": "auto",
        "augmentation.interpolation": "bicubic", "validation.interval": 200,
    },
    "gpu": {
        "network.width": 64, "network.dropout": 0.0, "optimisation.optimizer": "muon",
        "optimisation.learning_rate": 1e-3, "optimisation.warmup": 100, "optimisation.clip": 0.3,
        "optimisation.momentum": 0.95, "optimisation.momentum_ramp": 0,
        "optimisation.steps": 2000, "optimisation.precision": "bfloat16",
        "augmentation.interpolation": "bicubic", "validation.interval": 500,
    },
}  # fmt: skip


@pytest.mark.parametrize("name", SHIPPED)
def test_a_shipped_recipe_is_changed_knowingly(name: str) -> None:
    """These values were measured, and the documentation names them: see docs/settings.md."""
    shipped = leaves(load_settings(name).model_dump())
    assert {key: shipped[key] for key in RECIPES[name]} == RECIPES[name]
    # All else is as in the paper's.
    others = {key for key, value in leaves(TrainingSettings().model_dump()).items() if shipped[key] != value}
    assert others <= RECIPES[name].keys()


PUBLISHED_RECIPES: dict[str, dict[str, Any]] = {
    "padded": {"network.width": 64, "network.depth": 4, "optimisation.loss": "bce"},
    "vgg19": {
        "seed": 42, "network.dropout": 0.25, "mapping.method": "integer-range", "optimisation.loss": "bce",
        "optimisation.batch": 16, "optimisation.tile": 224, "augmentation.flips": 0.75,
        "augmentation.gray_scale": 0.4, "validation.fraction": 0.2, "validation.epochs": 1,
    },
    "base": {
        "seed": 42, "optimisation.batch": 16, "optimisation.tile": 224, "optimisation.loss": "bce",
        "optimisation.learning_rate": 1e-4, "validation.patience": 20, "validation.at_least": 10,
    },
    "compact": {
        "network.width": 16, "optimisation.batch": 32, "optimisation.tile": 128, "optimisation.loss": "bce",
        "optimisation.schedule": "plateau", "validation.patience": 10, "validation.epochs": 1,
    },
    "nested": {"network.deep_supervision": False},
    "attention": {"optimisation.loss": "dice"},
    "vnet": {"optimisation.loss": "dice", "optimisation.optimizer": "sgd"},
}  # fmt: skip


@pytest.mark.parametrize("name", PUBLISHED)
def test_the_published_recipes_are_those_of_the_documents(name: str) -> None:
    settings = load_settings(name)
    shipped = leaves(settings.model_dump())
    optimizer = {} if name == "vnet" else {"optimisation.optimizer": "adam"}
    none = {"weight_map.w0": 0, "weight_map.class_weights": (1.0, 1.0), "optimisation.clip": 0}
    expected = {"network.kind": name, **optimizer, **none, **PUBLISHED_RECIPES[name]}
    assert {key: shipped[key] for key in expected} == expected


def test_vgg19_is_trained_frozen_and_then_with_its_last_convolution() -> None:
    first, second = load_settings("vgg19").phase
    assert (first.epochs, first.learning_rate, first.patience, first.at_least) == (200, 1e-4, 20, 10)
    assert (second.epochs, second.learning_rate, second.patience) == (100, 1e-5, 10)
    assert (first.freeze, first.release) == (("features",), ())
    assert (second.freeze, second.release) == (("features",), ("features.34",))


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("ronneberger2016", "did you mean 'ronneberger2015'?"),
        ("qick", "did you mean 'quick'?"),
        ("qick.toml", "did you mean 'quick'?"),
        ("tpu", "did you mean 'gpu'?"),
        ("zzz", "known here: ronneberger2015, quick, gpu"),
    ],
)
def test_a_name_that_is_not_shipped_is_answered_with_the_nearest(name: str, words: str) -> None:
    with pytest.raises(SettingsError) as refused:
        load_settings(name)
    assert str(refused.value).startswith(f"{name}: there is no settings file")
    assert words in str(refused.value)


def test_the_training_part_of_an_experiment_s_settings_is_taken(tmp_path: Path) -> None:
    text = "folds = [1]\n[training]\nseed = 4\n[training.network]\nwidth = 8\n[ablation]\nfold = 4\n"
    settings = load_settings(written(tmp_path, text), {"optimisation": {"steps": 5}})
    assert settings == load_settings(None, {"seed": 4, "network": {"width": 8}, "optimisation": {"steps": 5}})
    with pytest.raises(SettingsError, match=r"training: no such setting"):
        load_settings(written(tmp_path, text + "[network]\nwidth = 3\n"))


PIPELINES = Path(__file__).parents[2] / "pipelines"
OF_MANY = [
    *(
        "one_gpu",
        "one_gpu-cells",
        "one_gpu-muon",
        "one_gpu-regular",
        "one_gpu-quick",
        "settings_table",
        "settings_table-wide",
    ),
    "settings_table-cpu",
    *("successors", "successors-gpu", "successors-quick"),
]
OF_MANY += ["flood", "flood-quick", "salt", "salt-quick"]
"""Settings of many trainings, of which none can be taken."""


@pytest.mark.parametrize("name", OF_MANY)
def test_settings_of_many_trainings_are_refused(name: str) -> None:
    with pytest.raises(SettingsError, match="no such setting"):
        load_settings(PIPELINES / f"{name}.toml")


@pytest.mark.parametrize("name", sorted({path.stem for path in PIPELINES.glob("*.toml")} - {*OF_MANY}))
def test_the_settings_of_a_pipeline_can_be_trained_with(name: str) -> None:
    file = PIPELINES / f"{name}.toml"
    values = tomllib.loads(file.read_text())
    assert load_settings(file) == load_settings(None, values.get("training", values))


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        ('[optimisation]\noptimizer = "adm"', "did you mean 'adam'?"),
        ("steps = 9", "did you mean 'optimisation.steps'?"),
        ("[augmentation]\nlearning_rate = 1", "did you mean 'optimisation.learning_rate'?"),
        ("[optimisation]\nwidth = 32", "did you mean 'network.width'?"),
        ("[labels]\nlearning_rat = 1", "did you mean 'optimisation.learning_rate'?"),
        ("[validation]\nencoder_rate = 1", "did you mean 'fine_tuning.encoder_rate'?"),
        ('[labels]\nkind = "instance"', "did you mean 'instances'?"),
        ('[optimisation]\nprecision = "bfloat"', "did you mean 'bfloat16'?"),
        ('[optimisation]\nloss = "crossentropy"', "did you mean 'cross-entropy'?"),
        ('[optimisation]\nschedule = "cosin"', "did you mean 'cosine'?"),
        ('[network]\nkind = "unet"', "did you mean 'unet2015'?"),
        ("[optimisation]\nmomentm = 0.9", "did you mean 'momentum'?"),
        ("[optimisation]\nseed = 9", "did you mean 'seed', above all sections?"),
        ("[labels]\ncheckpoint_intervall = 9", "did you mean 'checkpoint_interval', above all sections?"),
        ("[labels.optimisation]\nsteps = 9", "did you mean 'optimisation'?"),
        ("[optimization]\nsteps = 9", "did you mean 'optimisation'?"),
    ],
)
def test_an_unknown_name_is_answered_with_the_nearest(tmp_path: Path, text: str, meant: str) -> None:
    assert meant in refusal(tmp_path, text)


def test_many_unknown_names_are_one_line_that_lists_the_known_ones_once(tmp_path: Path) -> None:
    names = [f"unknown_{number}" for number in range(9)]
    for sections in ([""], ["", "[network]", "[labels]", "[optimisation]", "[augmentation]", "[sampling]"]):
        lines = [line for section in sections for line in (section, *(f"{name} = 1" for name in names))]
        message = refusal(tmp_path, "\n".join(lines)).removeprefix(str(tmp_path))
        assert len(message) < 1100
        assert message.count("known here") <= len(sections)
        said = message.count("no such setting")
        assert said >= min(9, len(sections))
        more = len(sections) * len(names) - said
        assert message.endswith(f"and {more} more") == (more > 0)


# Reading


def test_a_file_changes_what_it_says_and_nothing_else(tmp_path: Path) -> None:
    text = 'seed = 7\n[labels]\nkind = "membrane"\n[weight_map]\nclass_weights = [1, 2.5]\n'
    settings = load_settings(written(tmp_path, text))
    expected = leaves(TrainingSettings().model_dump())
    expected |= {"seed": 7, "labels.kind": "membrane", "weight_map.class_weights": (1.0, 2.5)}
    assert leaves(settings.model_dump()) == expected


def test_an_empty_file_gives_the_defaults(tmp_path: Path) -> None:
    assert load_settings(str(written(tmp_path, ""))) == TrainingSettings()


def test_overrides_win_and_merge_at_every_level(tmp_path: Path) -> None:
    path = written(tmp_path, "seed = 1\n[network]\nwidth = 8\ndepth = 2\n[optimisation]\nsteps = 5\n")
    overrides = {"seed": 2, "network": {"depth": 3}, "labels": {"kind": "membrane"}}
    settings = load_settings(path, overrides)
    assert settings.seed == 2
    assert settings.network == NetworkSettings(width=8, depth=3)
    assert settings.optimisation.steps == 5
    assert settings.labels.kind == "membrane"
    assert overrides == {"seed": 2, "network": {"depth": 3}, "labels": {"kind": "membrane"}}
    assert load_settings(path).network.depth == 2


def test_overrides_are_checked_too(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r"network\.dropuot: no such setting"):
        load_settings(None, {"network": {"dropuot": 0.1}})
    with pytest.raises(SettingsError, match=r"mine\.toml and the options given: network = 3"):
        load_settings(written(tmp_path, "[network]\nwidth = 8"), {"network": 3})


EMPTY = {"labels": {}, "validation": {}, "optimisation": {}, "network": {}, "weight_map": {"deeper": {}}}


def test_options_are_named_only_where_one_was_given(tmp_path: Path) -> None:
    path = written(tmp_path, "[network]\nwidth = 0")
    for none in (None, {}, EMPTY):
        with pytest.raises(SettingsError) as refused:
            load_settings(path, none)
        assert str(refused.value).startswith(f"{path}: network.width = 0")
    for given in ({"seed": 0}, {"seed": None}, EMPTY | {"labels": {"ignore": 0}}):
        with pytest.raises(SettingsError, match=r"mine\.toml and the options given: .*network\.width = 0"):
            load_settings(path, given)


def test_an_empty_section_of_options_hides_nothing_wrong_in_the_file(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r"mine\.toml: network = 3"):
        load_settings(written(tmp_path, "network = 3"), EMPTY)
    assert load_settings(None, EMPTY) == TrainingSettings()


def test_settings_survive_json() -> None:
    settings = load_settings(None, {"weight_map": {"class_weights": [1.0, 2.0]}, "labels": {"ignore": 9}})
    assert TrainingSettings.model_validate_json(settings.model_dump_json()) == settings


# Refusing


@pytest.mark.parametrize(
    ("text", "key", "known"),
    [
        ("sed = 1", "sed", "seed, checkpoint_interval, network"),
        ("[netwrok]\nwidth = 1", "netwrok", "seed, checkpoint_interval, network"),
        ("[network]\nwidht = 1", "network.widht", "kind, width, depth, variant, dropout"),
        (
            "[optimisation]\nlearning-rate = 1",
            "optimisation.learning-rate",
            "steps, epochs, batch, tile, optimizer, learning_rate, warmup",
        ),
        ("[augmentation.elastic]\nstd = 1", "augmentation.elastic", "elastic_std, elastic_grid"),
    ],
)
def test_an_unknown_key_is_refused_and_the_known_ones_named(
    tmp_path: Path, text: str, key: str, known: str
) -> None:
    message = refusal(tmp_path, text)
    assert message.startswith(f"{tmp_path / 'mine.toml'}: {key}: no such setting; known here: {known}")
    assert "\n" not in message


@pytest.mark.parametrize("kind", [*kinds(TrainingSettings), Mapping])
def test_every_kind_of_settings_refuses_unknown_keys(kind: type[Frozen]) -> None:
    with pytest.raises(SettingsError, match=r"^here: .*unknown_key: no such setting; known here: \w+"):
        parse_settings(kind, {"unknown_key": 1}, "here")


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("seed = -1", "seed = -1"),
        ("seed = 1.5", "seed = 1.5"),
        ('seed = "one"', "seed = 'one'"),
        ("network = 5", "network = 5"),
        ("[network]\nwidth = 0", "network.width = 0"),
        ("[network]\ndepth = 9", "network.depth = 9"),
        ("[network]\ndropout = 1.0", "network.dropout = 1.0"),
        ('[network]\nvariant = "2016"', "network.variant = '2016'"),
        ('[mapping]\nmethod = "z-score"', "mapping.method = 'z-score'"),
        ("[mapping]\nlow = -1", "mapping.low = -1"),
        ("[mapping]\nhigh = 101", "mapping.high = 101"),
        ('[labels]\nkind = "boxes"', "labels.kind = 'boxes'"),
        ('[labels]\nkind = "classes"\nclasses = 256', "labels.classes = 256"),
        ("[weight_map]\nsigma = 0", "weight_map.sigma = 0"),
        ("[weight_map]\nw0 = -1", "weight_map.w0 = -1"),
        ("[weight_map]\nw0 = inf", "weight_map.w0 = inf"),
        ("[augmentation]\nelastic_std = -1", "augmentation.elastic_std = -1"),
        ("[augmentation]\nelastic_grid = 1", "augmentation.elastic_grid = 1"),
        ("[augmentation]\nrotation = 181", "augmentation.rotation = 181"),
        ("[augmentation]\ngray_scale = 1", "augmentation.gray_scale = 1"),
        ("[optimisation]\nsteps = 0", "optimisation.steps = 0"),
        ("[optimisation]\nlearning_rate = 0.0", "optimisation.learning_rate = 0.0"),
        ("[optimisation]\nlearning_rate = nan", "optimisation.learning_rate = nan"),
        ("[optimisation]\nlearning_rate = inf", "optimisation.learning_rate = inf"),
        ("[optimisation]\nmomentum = 1", "optimisation.momentum = 1"),
        ('[optimisation]\nprecision = "float16"', "optimisation.precision = 'float16'"),
        ("[validation]\nfraction = 1", "validation.fraction = 1"),
        ("[validation]\ninterval = 0", "validation.interval = 0"),
    ],
)
def test_a_value_that_is_not_allowed_is_named_with_its_rule(tmp_path: Path, text: str, place: str) -> None:
    start, _, rule = refusal(tmp_path, text).partition(f"{place}: ")
    assert start == f"{tmp_path / 'mine.toml'}: "
    assert len(rule) > 10


@pytest.mark.parametrize(
    ("text", "rule"),
    [
        ("[mapping]\nlow = 50\nhigh = 50", "low (50.0) must be below high (50.0)"),
        ("[labels]\nclasses = 3", 'kind = "instances" has 2 classes, not 3'),
        ('[labels]\nkind = "membrane"\nclasses = 3', 'kind = "membrane" has 2 classes, not 3'),
    ],
)
def test_values_that_contradict_each_other_are_refused(tmp_path: Path, text: str, rule: str) -> None:
    refused = refusal(tmp_path, text)
    assert rule in refused
    assert "Value error" not in refused


def test_all_problems_are_named_at_once(tmp_path: Path) -> None:
    path = written(tmp_path, "seed = -1\n[network]\nwidht = 1\ndepth = 99\n")
    with pytest.raises(SettingsError, match=r"seed = -1.*; network\.depth = 99.*; network\.widht: no such"):
        load_settings(path)


@pytest.mark.parametrize(
    "content", [b"seed = ", b"just words", b"seed = 1\nseed = 2", b"\xff\xfe\x00", b"{}"]
)
def test_what_is_not_toml_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "mine.toml"
    path.write_bytes(content)
    with pytest.raises(SettingsError, match=r"mine\.toml: not a TOML file: "):
        load_settings(path)


def test_a_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r"absent\.toml: cannot read the settings: No such file"):
        load_settings(tmp_path / "absent.toml")
    with pytest.raises(SettingsError, match="cannot read the settings: Is a directory"):
        load_settings(tmp_path)


def test_the_error_is_one_of_usage() -> None:
    assert issubclass(SettingsError, UsageError)
    assert issubclass(SettingsError, ValueError)
    assert SettingsError.exit_status == 2


# Networks of other kinds


class OtherSettings(AnyNetworkSettings):
    """Settings of a network that is not in the table."""

    kind: Literal["other-net"] = "other-net"
    """Which network."""
    layers: int = Field(3, ge=1)
    """Something of its own."""


@pytest.fixture
def other(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(NETWORK_KINDS, "other-net", OtherSettings)


@pytest.mark.parametrize("text", ["", "[network]\nwidth = 3", '[network]\nkind = "unet2015"\nwidth = 3'])
def test_a_network_without_a_kind_is_the_papers(tmp_path: Path, text: str) -> None:
    settings = load_settings(written(tmp_path, text))
    assert isinstance(settings.network, NetworkSettings)
    assert settings.network == NetworkSettings(width=3 if "width" in text else 64)


@pytest.mark.usefixtures("other")
def test_a_network_of_another_kind_has_settings_of_its_own(tmp_path: Path) -> None:
    settings = load_settings(written(tmp_path, '[network]\nkind = "other-net"\nlayers = 7'))
    assert settings.network == OtherSettings(layers=7)
    assert settings.model_dump()["network"] == {"kind": "other-net", "layers": 7}
    assert TrainingSettings.model_validate_json(settings.model_dump_json()) == settings
    assert TrainingSettings(network=OtherSettings(layers=7)) == settings


@pytest.mark.usefixtures("other")
@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('kind = "other-net"\nwidth = 3', "network.width: no such setting; known here: kind, layers"),
        ('kind = "other-net"\nlayers = 0', "network.layers = 0: Input should be greater than or equal to 1"),
        ("layers = 3", "network.layers: no such setting; known here: kind, width, depth, variant, dropout"),
    ],
)
def test_what_another_network_does_not_allow_is_named(tmp_path: Path, text: str, message: str) -> None:
    assert refusal(tmp_path, f"[network]\n{text}") == f"{tmp_path / 'mine.toml'}: {message}"


@pytest.mark.usefixtures("other")
def test_another_network_takes_nothing_of_the_one_that_it_replaces(tmp_path: Path) -> None:
    assert load_settings(None, {"network": {"kind": "other-net"}}).network == OtherSettings()
    path = written(tmp_path, '[network]\nkind = "other-net"\nlayers = 7')
    assert load_settings(path, {"network": {"kind": "other-net"}}).network == OtherSettings(layers=7)
    assert load_settings(path, {"network": {"kind": "unet2015"}}).network == NetworkSettings()
    path = written(tmp_path, "[network]\nwidth = 8")
    assert load_settings(path, {"network": {"kind": "unet2015"}}).network == NetworkSettings(width=8)


@pytest.mark.usefixtures("other")
@pytest.mark.parametrize(
    ("kind", "message"),
    [
        ('"unet2105"', "network.kind = 'unet2105': no such network; did you mean 'unet2015'? known here: "),
        ('"othernet"', "network.kind = 'othernet': no such network; did you mean 'other-net'? known here: "),
        ('"zzz"', "network.kind = 'zzz': no such network; known here: "),
        ("5", "network.kind = 5: no such network; known here: "),
    ],
)
def test_an_unknown_network_is_refused_with_the_nearest_known(
    tmp_path: Path, kind: str, message: str
) -> None:
    refused = refusal(tmp_path, f"[network]\nkind = {kind}\nwhatever = 1")
    assert refused == f"{tmp_path / 'mine.toml'}: {message}{', '.join(NETWORK_KINDS)}"
    assert "unet2015, padded, " in refused


# Frozen and documented


@pytest.mark.parametrize("kind", kinds(TrainingSettings))
def test_settings_cannot_change(kind: type[Frozen]) -> None:
    settings = kind()
    for name in kind.model_fields:
        with pytest.raises(ValidationError, match="frozen"):
            setattr(settings, name, getattr(settings, name))
    with pytest.raises(ValidationError):
        settings.unknown = 1  # type: ignore[attr-defined]


@pytest.mark.parametrize("kind", [kind for kind in kinds(TrainingSettings) if kind is not TrainingSettings])
def test_every_setting_is_documented(kind: type[Frozen]) -> None:
    for name, field in kind.model_fields.items():
        assert field.description, f"{kind.__name__}.{name}"


def test_parse_settings_returns_the_kind_asked_for() -> None:
    settings = parse_settings(AugmentationSettings, {"rotation": 5}, "here")
    assert settings == AugmentationSettings(rotation=5)


def test_a_network_that_reads_pixels_from_0_to_1_is_not_trained_on_standardised_ones(tmp_path: Path) -> None:
    said = refusal(tmp_path, '[network]\nkind = "vgg19"')
    assert 'the network vgg19 reads pixels from 0 to 1, which [mapping] method = "standardise"' in said
    for method in ("auto", "integer-range", "image-percentiles", "training-percentiles"):
        chosen = load_settings(None, {"network": {"kind": "vgg19"}, "mapping": {"method": method}})
        assert chosen.mapping.method == method


@pytest.mark.parametrize(
    "text", ["seed = true", "[labels]\nignore = false", "[optimisation]\nlearning_rate = true"]
)
def test_true_is_no_number(tmp_path: Path, text: str) -> None:
    path = tmp_path / "settings.toml"
    path.write_text(text)
    with pytest.raises(SettingsError, match="expected a number, got"):
        load_settings(path)


def test_validation_by_steps_and_by_epochs_side_by_side_is_refused(tmp_path):
    words = r"validation\.interval = 7 and validation\.epochs = 1 both say how often .*give one of both"
    with pytest.raises(SettingsError, match=words):
        load_settings(None, {"validation": {"interval": 7, "epochs": 1}})
    (tmp_path / "mine.toml").write_text("[validation]\ninterval = 7\nepochs = 1\n")
    with pytest.raises(SettingsError, match=rf"mine\.toml: {words}"):
        load_settings(tmp_path / "mine.toml")
    (tmp_path / "mine.toml").write_text("[validation]\ninterval = 7\n")
    for one in {"interval": 9, "epochs": 1}.items():  # over what a file says
        load_settings(tmp_path / "mine.toml", {"validation": dict([one])})
    (tmp_path / "mine.toml").write_text("[validation]\nepochs = 4\n")
    found = load_settings(tmp_path / "mine.toml", {"validation": {"interval": 9}}).validation
    assert (found.interval, found.epochs) == (9, None)


def test_steps_and_epochs_side_by_side_are_refused(tmp_path):
    both = {"steps": 5, "epochs": 1}
    with pytest.raises(SettingsError, match=r"optimisation\.steps = 5 and optimisation\.epochs = 1 both say"):
        load_settings(None, {"optimisation": both})
    (tmp_path / "mine.toml").write_text("[optimisation]\nsteps = 5\nepochs = 1\n")
    with pytest.raises(SettingsError, match=r"mine\.toml: .* give one of both"):
        load_settings(tmp_path / "mine.toml")
    (tmp_path / "mine.toml").write_text("[optimisation]\nsteps = 700\n")
    for one in both.items():  # over what a file says
        load_settings(tmp_path / "mine.toml", {"optimisation": {"warmup": 1} | dict([one])})
