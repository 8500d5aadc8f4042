"""Opens a player session: proves whom a caller may speak for, and gives a token for that user."""

from datetime import datetime

import msgspec

from grandstand.clock import now
from grandstand.domain.credentials import (
    DEVICE_ID_LENGTH_MAX,
    DEVICE_ID_LENGTH_MIN,
    SIGNATURE,
    Principal,
    hash_device,
    is_signature_of,
)
from grandstand.domain.errors import (
    ConflictError,
    FieldError,
    ForbiddenError,
    InvalidError,
    UnauthorizedError,
)
from grandstand.domain.event_model import is_user_id
from grandstand.domain.ids import new_ids
from grandstand.domain.json_bodies import decode_body
from grandstand.operations.audit import record
from grandstand.operations.authenticate import Authenticator
from grandstand.storage.bans import BanStore
from grandstand.storage.credentials import keep_device, revoke_player
from grandstand.storage.postgres import Database


class SessionRequest(msgspec.Struct):
    """What `POST /api/players/sessions` takes: a device, or a user id that is proven by a signature or a server key."""

    device_id: str | None = None
    user_id: str | None = None
    signature: str | None = None


class Session(msgspec.Struct):
    """A player session: the token speaks for `user_id` until `expires_at`; `signing_key` signs its events."""

    user_id: str
    token: str
    expires_at: datetime
    signing_key: str


class SessionOpener:
    """Opens sessions for whoever may speak for a user."""

    def __init__(self, authenticator: Authenticator, database: Database, bans: BanStore) -> None:
        self._authenticator = authenticator
        self._database = database
        self._bans = bans

    async def open(self, body: bytes, principal: Principal) -> Session:
        """Open a session as the credential allows: a client key for a device or a signed user id, a server key for any.

        Raises:
            MalformedError: the body is not JSON.
            InvalidError: a value is wrong or missing.
            UnauthorizedError: no credential.
            ForbiddenError: the credential does not reach this, or the signature is wrong.
            ConflictError: `player_banned`.
            UnavailableError: the device or its player cannot be looked up right now.

        """
        if principal.kind == "anonymous":
            raise UnauthorizedError("Send a client key or a server key.")
        if principal.kind == "player":
            raise ForbiddenError("A player token cannot open sessions; send a client key or a server key.")
        if principal.is_operator and not principal.may("players:write"):
            raise ForbiddenError("This key has no scope `players:write`.")
        request = _read(body)
        if request.device_id is not None:
            user_id = await self._user_of_device(request.device_id)
        else:
            user_id = self._check_user(request, principal)
        async with self._database.transaction() as connection:
            # A ban ends the sessions that began before it: none may begin between this look and the token.
            await self._bans.share(connection, user_id)
            if await self._bans.get(connection, user_id) is not None:
                raise ConflictError("player_banned", "This player is banned.")
            return Session(user_id, *self._authenticator.tokens.issue(user_id))

    def renew(self, authorization: str | None) -> Session:
        """Return a new token of the session whose token is sent, without a new proof.

        Raises:
            UnauthorizedError: no player token, one that is not good any more, or a session that is over.
            ForbiddenError: another credential.
        """
        principal = self._authenticator.principal(authorization)
        if principal.kind == "anonymous" or authorization is None:
            raise UnauthorizedError("Send the player token that is to be renewed.")
        if principal.kind != "player":
            raise ForbiddenError("Only a player token can be renewed.")
        user_id, issued = self._authenticator.tokens.renew(authorization.partition(" ")[2].strip())
        return Session(user_id, *issued)

    async def end_all(self, user_id: str) -> None:
        """Put every token that a player has out of force, within seconds on every process.

        Raises:
            InvalidError: no user can have this id.
            UnavailableError: the database is out of reach.
        """
        if not is_user_id(user_id):
            raise InvalidError([FieldError("user_id", "must be 1 to 255 characters, none of them a control character")])
        async with self._database.transaction() as connection:
            await revoke_player(connection, user_id, now())
            await record(connection, "player.end_sessions", user_id)

    async def _user_of_device(self, device_id: str) -> str:
        device_hash = hash_device(device_id, self._authenticator.secret)
        candidate = f"u_{new_ids(1, now())[0].hex}"
        async with self._database.connection() as connection:
            return await keep_device(connection, device_hash, candidate)

    def _check_user(self, request: SessionRequest, principal: Principal) -> str:
        user_id = request.user_id or ""
        if principal.is_operator:
            return user_id
        if request.signature is None:
            raise ForbiddenError(
                "A client key cannot speak for a user id that it names itself: add the `signature` of your game "
                "server, or send a `device_id`."
            )
        if not SIGNATURE.match(request.signature) or not is_signature_of(
            request.signature, user_id, self._authenticator.signing_keys
        ):
            raise ForbiddenError("The signature is not that of a server key over this user id.")
        return user_id


def _read(body: bytes) -> SessionRequest:
    request = decode_body(body, SessionRequest, whole="")
    if (request.device_id is None) == (request.user_id is None):
        raise InvalidError([FieldError("", "Send either `device_id` or `user_id`.")])
    if request.user_id is not None and not is_user_id(request.user_id):
        raise InvalidError([FieldError("user_id", "must be 1 to 255 characters, none of them a control character")])
    if request.device_id is not None and not DEVICE_ID_LENGTH_MIN <= len(request.device_id) <= DEVICE_ID_LENGTH_MAX:
        raise InvalidError(
            [FieldError("device_id", f"must be {DEVICE_ID_LENGTH_MIN} to {DEVICE_ID_LENGTH_MAX} characters")]
        )
    return request
