"""One-time codes (RFC 6238): secrets, the addresses that authenticators read, and which time step a code is of."""

import re

import pyotp

from grandstand import clock

ISSUER = "Grandstand"
_CODE = re.compile(r"[0-9]{6}")


def new_secret() -> str:
    """Return a secret: 160 random bits in base 32."""
    return pyotp.random_base32()


def address_of(secret: str, name: str) -> str:
    """Return the `otpauth:` address of an operator's secret, which authenticators read from a QR code."""
    return pyotp.TOTP(secret).provisioning_uri(name=name, issuer_name=ISSUER)


def is_code(text: str) -> bool:
    """Whether a text could be a code at all; authenticators show it with a space in it."""
    return _CODE.fullmatch(text.replace(" ", "")) is not None


def step_of(secret: str, code: str) -> int | None:
    """Return the time step that a code is of, if that is about now; None for a wrong code.

    A phone's clock may be a step off, either way.
    """
    totp = pyotp.TOTP(secret)
    now = int(clock.now().timestamp()) // totp.interval
    for step in (now, now - 1, now + 1):
        if pyotp.utils.strings_equal(code.replace(" ", ""), totp.generate_otp(step)):
            return step
    return None
