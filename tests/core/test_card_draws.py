"""Random sets and orders, and the names of members."""

from __future__ import annotations

from collections import Counter

import pytest

from core.experiment import InputError
from core.patching.draws import crowded, orders, random_sets
from core.patching.members import checked_members, of_site, read_members
from core.patching.plan import Shape

SHAPE = Shape(layers=30, heads=9, groups=3, positions=20)
CIRCUIT = ((16, 7), (18, 4), (18, 6), (20, 1), (20, 5), (28, 8))


def layers(members) -> Counter:
    return Counter(layer for layer, _ in members)


def test_random_sets_have_the_sets_layers_and_none_of_its_members():
    drawn = random_sets(CIRCUIT, 9)
    assert len(drawn) == len(set(drawn)) == 20
    for members in drawn:
        assert layers(members) == layers(CIRCUIT) and not set(members) & set(CIRCUIT)
        assert members == tuple(sorted(set(members))) and all(0 <= head < 9 for _, head in members)
    assert drawn == random_sets(CIRCUIT, 9) != random_sets(CIRCUIT, 9, seed=1)


def test_where_a_layer_has_too_few_others_its_members_may_come_again_but_never_the_set():
    members = ((0, 0), (0, 1), (0, 2), (1, 0))
    assert crowded(members, 4) == (0,)
    drawn = random_sets(members, 4)
    assert members not in drawn and len(set(drawn)) == len(drawn) == 12
    assert all(layers(chosen) == layers(members) and (1, 0) not in chosen for chosen in drawn)


def test_of_all_heads_of_the_layers_there_is_no_other_set():
    assert random_sets(tuple((2, head) for head in range(4)), 4) == ()
    assert random_sets(((1, 3),), 4) and len(random_sets(((1, 3),), 4)) == 3


def test_every_one_of_few_possible_sets_is_drawn_once():
    drawn = random_sets(((0, 0), (1, 0)), 4, count=20)
    assert sorted(drawn) == [((0, a), (1, b)) for a in (1, 2, 3) for b in (1, 2, 3)]


def test_orders_are_drawn_only_of_more_members_than_all_orders_are_looked_at():
    assert orders(CIRCUIT) == ()
    more = (*CIRCUIT, (29, 0))
    drawn = orders(more)
    assert len(set(drawn)) == 10 and all(sorted(order) == sorted(more) for order in drawn)
    assert drawn == orders(more) != orders(more, seed=2)


@pytest.mark.parametrize(
    "text", ["L20H5 L16H7", "L20H5,L16H7", " l20h5 ;\n L16H7,, ", "L16H7 L20H5 L16H7", "L16H07 L020H5"]
)
def test_members_are_read_as_people_type_them(text):
    assert read_members(text, "z", SHAPE) == ((16, 7), (20, 5))


def test_groups_are_read_where_the_site_is_of_groups():
    assert read_members("L13KV2", "v", SHAPE) == ((13, 2),)


@pytest.mark.parametrize(
    "text, site, said",
    [
        ("", "z", "name heads, for example L0H0"),
        ("L20H5 quick", "z", "'quick' names no head; name them like L20H0"),
        ("L30H0", "z", "there is no L30H0; layers go from 0 to 29, heads from 0 to 8"),
        ("L20H9", "w_head", "there is no L20H9"),
        ("L20KV1", "z", "L20KV1 is a KV group, but z is of heads; name L20H3 L20H4 L20H5"),
        ("L20H5", "v", "L20H5 is a head, but v is of KV groups; name L20KV1"),
        ("L20H77", "v", "there is no L20H77"),
        ("L20H5", "mlp_out", "mlp_out is neither"),
    ],
)
def test_what_names_no_member_is_refused_with_the_remedy(text, site, said):
    with pytest.raises(InputError, match=said) as error:
        read_members(text, site, SHAPE)
    assert error.value.field in ("heads", "site")


def test_heads_become_their_groups_and_groups_their_heads():
    heads = [(13, 0), (13, 2), (13, 3)]
    assert of_site(heads, "head", "v", SHAPE) == ((13, 0), (13, 1))
    assert of_site([(13, 1)], "group", "z", SHAPE) == ((13, 3), (13, 4), (13, 5))
    assert of_site(heads, "head", "w_head", SHAPE) == tuple(heads)
    assert checked_members([(13, 2), (13, 2)], "z", SHAPE) == ((13, 2),)
