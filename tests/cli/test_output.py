"""Messages on standard error."""

import logging

from unet2015.cli.output import show_messages


def test_a_message_appears_once_however_often_a_process_asks(capsys):
    for _ in range(3):
        show_messages()
    logging.getLogger("unet2015").warning("one line")
    assert capsys.readouterr().err == "unet2015: one line\n"
