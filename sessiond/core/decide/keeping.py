"""Keys of tickets, refresh tokens of data sources, and stored values: kept, spent and dropped."""

from collections.abc import Mapping

from msgspec import structs

from sessiond.core.changes import (
    BeginSourceRefresh,
    DropSourceGrant,
    DropTicketKey,
    KeepSourceGrant,
    KeepTicketKey,
    NextEpoch,
    RefuseSource,
    RotateSource,
    WriteValue,
)
from sessiond.core.decide.draft import Draft
from sessiond.core.source_grant import SourceGrant
from sessiond.core.stored_value import (
    MAX_VALUES,
    Epoch,
    StoredContext,
    StoredValue,
    WriteAnswer,
)


def keep_ticket_key(draft: Draft, change: KeepTicketKey) -> None:
    """Keep a key."""
    draft.put(change.key, secret=change.secret)


def drop_ticket_key(draft: Draft, change: DropTicketKey) -> None:
    """Drop a key with its private half."""
    key = draft.rows.ticket_keys.get(change.id)
    if key is not None:
        draft.drop(key)


def keep_source_grant(draft: Draft, change: KeepSourceGrant) -> None:
    """Keep a source's first refresh token, in the place of any other."""
    grant = SourceGrant(name=change.name, client=change.client, seed=change.seed, kept_at=draft.now)
    draft.put(grant, secret=change.refresh_token)


def begin_source_refresh(draft: Draft, change: BeginSourceRefresh) -> SourceGrant | None:
    """Record that the issuer is about to be asked."""
    grant = draft.rows.source_grants.get(change.name)
    if grant is None or grant.is_refused:
        return None
    begun = structs.replace(grant, in_flight_since=draft.now)
    draft.put(begun)
    return begun


def rotate_source(draft: Draft, change: RotateSource) -> bool:
    """Keep what the issuer answered, unless that was about a token that was replaced meanwhile."""
    grant = draft.rows.source_grants.get(change.name)
    if grant is None or grant.in_flight_since is None:
        return False
    draft.put(structs.replace(grant, in_flight_since=None), secret=change.refresh_token)
    return True


def refuse_source(draft: Draft, change: RefuseSource) -> None:
    """Never send again what was refused; a token that has replaced it meanwhile was not."""
    grant = draft.rows.source_grants.get(change.name)
    if grant is not None and grant.in_flight_since is not None:
        draft.put(structs.replace(grant, in_flight_since=None, is_refused=True))


def drop_source_grant(draft: Draft, change: DropSourceGrant) -> None:
    """Drop a source's refresh token."""
    grant = draft.rows.source_grants.get(change.name)
    if grant is not None:
        draft.drop(grant)


def write_value(draft: Draft, change: WriteValue) -> WriteAnswer:
    """Keep or remove a value; a context is there as long as it has one."""
    rows, text = draft.rows, "" if change.value is None else change.value.reveal()
    context = rows.contexts.get(change.context)
    if context is not None and context.owner != change.uid and not change.is_shared:
        return WriteAnswer.NOTOWNER
    values = rows.values_of(change.context)
    old = values.get(change.name)
    if not text:
        if old is not None:
            draft.drop(old)
        if context is not None and values.keys() <= {change.name}:
            draft.drop(context)
        return WriteAnswer.WRITTEN
    if old is None and len(values) >= MAX_VALUES:
        return WriteAnswer.FULL
    if context is None:
        if not _has_room(rows.contexts, change):
            return WriteAnswer.FULL
        draft.put(StoredContext(context=change.context, owner=change.uid, made_at=draft.now))
    value = StoredValue(
        context=change.context,
        name=change.name,
        size=len(text),
        written_at=draft.now,
    )
    draft.put(value, secret=change.value)
    return WriteAnswer.WRITTEN


def _has_room(contexts: Mapping[str, StoredContext], change: WriteValue) -> bool:
    """Say whether the user may have a context more.

    The last quarter of all is for those who have less than a quarter: nobody fills it up for others
    by himself.
    """
    quarter, free = change.max_contexts // 4, change.max_contexts - len(contexts)
    if free > quarter or free <= 0:
        return free > 0
    return sum(each.owner == change.uid for each in contexts.values()) < quarter


def next_epoch(draft: Draft, change: NextEpoch) -> int:
    """Count one more."""
    before = draft.rows.epochs.get(change.name)
    number = 1 if before is None else before.number + 1
    draft.put(Epoch(name=change.name, number=number))
    return number
