"""The rows of the paper's two tables, and what the challenges list since; all on hidden test images."""

MEASURES = ("warping_error", "rand_error", "pixel_error", "v_rand", "v_info")
"""In the order of the paper's Table 1, then the server's later measures."""
_TABLE_1 = {
    "human values": (0.000005, 0.0021, 0.0010),
    "u-net": (0.000353, 0.0382, 0.0611),
    "DIVE-SCI": (0.000355, 0.0305, 0.0584),
    "IDSIA": (0.000420, 0.0504, 0.0613),
    "DIVE": (0.000430, 0.0545, 0.0582),
    "IDSIA-SCI": (0.000653, 0.0189, 0.1027),
}
TABLE_1: dict[str, dict[str, float]] = {
    **{f"{name} (paper, Table 1)": dict(zip(MEASURES, row, strict=False)) for name, row in _TABLE_1.items()},
    "u-net (the challenge's server, later measures)": {"v_rand": 0.97276, "v_info": 0.98662},
    "best listed since (SFCNNs)": {"v_rand": 0.98680, "v_info": 0.99144},
}
"""Rows on the hidden test set, for comparison: other images than ours."""
TABLE_2: dict[str, dict[str, float]] = {
    "u-net 2015 (paper, Table 2)": {"PhC-C2DH-U373": 0.9203, "DIC-C2DH-HeLa": 0.7756},
    "second-best 2015 (paper, Table 2)": {"PhC-C2DH-U373": 0.83, "DIC-C2DH-HeLa": 0.46},
    "KTH-SE 2014 (paper, Table 2)": {"PhC-C2DH-U373": 0.7953, "DIC-C2DH-HeLa": 0.4607},
    "HOUS-US 2014 (paper, Table 2)": {"PhC-C2DH-U373": 0.5323},
    "IMCB-SG 2014 (paper, Table 2)": {"PhC-C2DH-U373": 0.2669, "DIC-C2DH-HeLa": 0.2935},
    "best since (CALT-US)": {"PhC-C2DH-U373": 0.931, "DIC-C2DH-HeLa": 0.887},
}
"""SEG on the hidden test sequences, for comparison: other images than ours."""
