"""The members of a set: query heads, or KV groups for sites of groups, as (layer, column) and as they are typed."""

from __future__ import annotations

import re
from collections.abc import Iterable

from core.experiment import InputError, shorten
from core.patching.plan import GROUP_SITES, GROUP_WEIGHTS, HEAD_SITES, HEAD_WEIGHTS, Shape, unit
from core.results import group_name, head_name

Member = tuple[int, int]
Members = tuple[Member, ...]

# What a set can be patched at.
SET_SITES = (*HEAD_SITES, *GROUP_SITES, *HEAD_WEIGHTS, *GROUP_WEIGHTS)
_NAME = re.compile(r"L(\d{1,3})(H|KV)(\d{1,3})", re.IGNORECASE)


def name_of(member: Member, site: str) -> str:
    return (group_name if unit(site) == "group" else head_name)(*member)


def read_members(text: str, site: str, shape: Shape) -> Members:
    """The members that a text names, “L20H5 L16H7” or “L20H5,L16H7”; an `InputError` names the first bad one."""
    names = [name for name in re.split(r"[\s,;]+", text) if name]
    return checked_members([_read(name, site, shape) for name in names], site, shape)


def checked_members(members: Iterable[Member], site: str, shape: Shape) -> Members:
    """In order of layers, each once; an `InputError` for a site of whole layers, an absent member, or none at all."""
    if site not in SET_SITES:
        unit(site)
        raise InputError(f"a set takes heads or KV groups, and {site} is neither; choose z, v or w_head", "site")
    chosen = tuple(sorted({(int(layer), int(column)) for layer, column in members}))
    kind = {"head": "heads", "group": "KV groups"}[unit(site)]
    if not chosen:
        raise InputError(
            f"a set without a member patches nothing; name {kind}, for example {name_of((0, 0), site)}", "heads"
        )
    for layer, column in chosen:
        if not (0 <= layer < shape.layers and 0 <= column < shape.width(site)):
            raise InputError(
                f"there is no {name_of((layer, column), site)}; layers go from 0 to {shape.layers - 1}, "
                f"{kind} from 0 to {shape.width(site) - 1}",
                "heads",
            )
    return chosen


def of_site(members: Iterable[Member], kind: str, site: str, shape: Shape) -> Members:
    """Members of a kind, "head" or "group", as a site takes them: a head's group, or all heads of a group."""
    wanted = unit(site)
    if kind == wanted:
        return tuple(dict.fromkeys(members))
    if wanted == "group":
        return tuple(dict.fromkeys((layer, int(shape.group_of(head))) for layer, head in members))
    return tuple(dict.fromkeys((layer, head) for layer, group in members for head in shape.heads_of(group)))


def _read(name: str, site: str, shape: Shape) -> Member:
    wanted = unit(site)
    match = _NAME.fullmatch(name)
    if match is None:
        like = name_of((min(20, shape.layers - 1), 0), site)
        raise InputError(f"{shorten(name, 30)!r} names no head; name them like {like}, spaces between", "heads")
    member, kind = (int(match[1]), int(match[3])), "group" if match[2].upper() == "KV" else "head"
    if wanted in ("head", "group") and kind != wanted:
        checked_members([member], {"head": "z", "group": "v"}[kind], shape)
        taken = " ".join(name_of(each, site) for each in of_site([member], kind, site, shape))
        kinds = {"head": "a head", "group": "a KV group"}
        raise InputError(f"{name} is {kinds[kind]}, but {site} is of {kinds[wanted][2:]}s; name {taken}", "heads")
    return member
