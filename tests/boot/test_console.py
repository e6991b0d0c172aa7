import pytest

from imagekit.boot.console import BAUD_RATES, DEVICES, Console
from imagekit.boot.loader_conf import loader_conf
from imagekit.errors import InputError

ORDERS = {
    "text": "text,ttya,ttyb,ttyc,ttyd",
    "ttya": "ttya,ttyb,ttyc,ttyd,text",
    "ttyb": "ttyb,ttya,ttyc,ttyd,text",
    "ttyc": "ttyc,ttya,ttyb,ttyd,text",
    "ttyd": "ttyd,ttya,ttyb,ttyc,text",
}


@pytest.mark.parametrize(("device", "order"), ORDERS.items())
def test_loader_conf_is_that_of_the_original(device, order):
    expected = (
        f'console="{order}"\n'
        f'os_console="{device}"\n'
        'ttya-mode="115200,8,n,1,-"\n'
        'ttyb-mode="115200,8,n,1,-"\n'
        'ttyc-mode="115200,8,n,1,-"\n'
        'ttyd-mode="115200,8,n,1,-"\n'
        'loader_logo="smartos"\n'
        'loader_brand="smartos"\n'
        "root_shadow='$5$2HOHRnK3$NvLlm.1KQBbB0WjoP7xcIwGnllhzp2HnT.mDO7DpxYA'\n"
        'smartos="true"\n'
    )
    assert loader_conf(Console.parse(device)).decode() == expected


def test_a_speed_changes_the_mode_of_its_port_alone():
    conf = loader_conf(Console.parse("ttyb:9600")).decode()
    assert 'ttyb-mode="9600,8,n,1,-"' in conf
    assert conf.count("115200,8,n,1,-") == 3
    assert 'os_console="ttyb"\n' in conf


def test_vga_is_text():
    assert Console.parse("vga") == Console("text")


@pytest.mark.parametrize("device", [name for name in DEVICES if name != "text"])
@pytest.mark.parametrize("baud", BAUD_RATES)
def test_parse_and_str_agree(device, baud):
    console = Console.parse(f"{device}:{baud}")
    assert console == Console(device, baud)
    assert Console.parse(str(console)) == console


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("ttyq", "did you mean tty"),
        ("TTYB", "did you mean ttyb"),
        ("ttyS0", "did you mean ttya?"),
        ("ttys3", "did you mean ttyd?"),
        ("/dev/ttyS1", "did you mean ttyb?"),
        ("ttyS0,115200", "did you mean ttya?"),
        ("COM1", "did you mean ttya?"),
        ("com4:9600", "did you mean ttyd?"),
        ("", "unknown console ''"),
        ("serial", "unknown console 'serial'"),
        ("text:9600", "has no speed"),
        ("ttya:", "no speed"),
        ("ttya:115201", "no speed"),
        ("ttya:\u0661\u0662\u0660\u0660", "no speed"),
        ("ttya:9600:8", "no speed"),
    ],
)
def test_bad_consoles_are_refused(text, says):
    with pytest.raises(InputError) as caught:
        Console.parse(text)
    assert says in str(caught.value)
    assert caught.value.hint
