"""The look-out for credentials finds what it is there for, and nothing else."""

import pytest

from tests.support.leaks import leaks
from tests.support.server import Keys

TOKEN = ".".join(("eyJhbGciOiJIUzI1NiJ9", "eyJzdWIiOiJhZGEifQ", "c2lnbmF0dXJlLXNpZ25hdHVyZQ"))


@pytest.mark.parametrize("secret", [*Keys().environment().values(), "gs_server_" + "aB3" * 21, TOKEN])
@pytest.mark.parametrize("text", ["{}", "key={} x", '{{"Authorization":"Bearer {}"}}', "url?key={}&b"])
def test_credentials_are_found(secret: str, text: str) -> None:
    assert leaks(text.format(secret))
    assert secret not in str(leaks(text.format(secret)))


@pytest.mark.parametrize("text", ["gs_server_***", "gs_server_…", "eyJhbGciOiJIUzI1NiJ9", "a gs_admin_ key", ""])
def test_other_words_are_not(text: str) -> None:
    assert not leaks(text)
