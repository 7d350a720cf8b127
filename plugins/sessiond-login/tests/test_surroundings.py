"""How a person can be asked, by what the environment says."""

import pytest
from login_fakes import profile
from sessiond_login.errors import NotSignedIn
from sessiond_login.surroundings import Surroundings, Way, has_browser, way_to_sign_in

SSH = {"SSH_CONNECTION": "10.0.0.1 5 10.0.0.2 22"}


@pytest.mark.parametrize(
    ("environment", "platform", "there_is_one"),
    [
        ({}, "linux", False),
        ({"DISPLAY": ""}, "linux", False),
        ({"DISPLAY": ":0"}, "linux", True),
        ({"WAYLAND_DISPLAY": "wayland-0"}, "linux", True),
        ({"BROWSER": "wslview"}, "linux", True),
        (SSH, "linux", False),
        ({**SSH, "DISPLAY": "localhost:10.0"}, "linux", True),
        ({}, "darwin", True),
        ({}, "win32", True),
        (SSH, "darwin", False),
        ({"SSH_TTY": "/dev/pts/0"}, "win32", False),
        ({**SSH, "BROWSER": "open-there"}, "darwin", True),
    ],
)
def test_a_browser_is_where_the_person_would_see_it(
    environment: dict[str, str], platform: str, there_is_one: bool
) -> None:
    assert has_browser(environment, platform) is there_is_one


@pytest.mark.parametrize(
    ("flow", "browser", "reads", "device", "way"),
    [
        ("browser", True, False, False, Way.BROWSER),
        ("browser", True, True, True, Way.DEVICE_CODE),
        ("browser", False, True, False, Way.DEVICE_CODE),
        ("browser", False, False, True, Way.DEVICE_CODE),
        ("device", True, True, False, Way.DEVICE_CODE),
        ("password", False, False, False, Way.PASSWORD),
        ("password", True, True, True, Way.DEVICE_CODE),
    ],
)
def test_the_way_is_the_profiles_where_it_can_be_and_else_a_code(
    flow: str, browser: bool, reads: bool, device: bool, way: Way
) -> None:
    here = Surroundings(browser=browser, reads=reads)
    assert way_to_sign_in(profile(flow=flow), here, device=device) is way


@pytest.mark.parametrize(
    ("flow", "lacking"),
    [("browser", "no display and no terminal"), ("device", "there is no terminal")],
)
def test_where_nobody_can_be_asked_it_is_said_what_to_do(flow: str, lacking: str) -> None:
    here = Surroundings(browser=flow == "device", reads=False)
    with pytest.raises(NotSignedIn, match=lacking) as refused:
        way_to_sign_in(profile(flow=flow), here, device=False)
    assert "sessiond-login" in str(refused.value)
