"""Numbers for figures, and what is looked for in one."""

import json

import numpy as np

from core.results import Attribution, Summary, TopTokens

HOSTILE = ("<img src=x onerror=alert(1)>", "<a href='x'>x</a>", "<b>bold</b>", "&lt;i&gt;", "\u202egnp")


def values(layers, heads, seed=0):
    """(model, layer, head)"""
    return np.random.default_rng(seed).standard_normal((2, layers, heads))


def attribution(layers, heads):
    v = values(layers, heads)
    zeros = np.zeros((2, layers))
    sums = (v.sum((1, 2)) + 1.0).astype(float)
    return Attribution(np.ones(2), v.sum(2), zeros, v, zeros, np.zeros(2), np.ones(2), "own", sums, ())


def summary(strings, logit_diff=(-1.0, 7.0)):
    n = len(strings)
    top = TopTokens(tuple(range(n)), tuple(strings), np.linspace(0.5, 0.1, n), np.linspace(9.0, 5.0, n))
    pair = np.array([0.1, 0.2])
    return Summary(pair, pair, np.array(logit_diff), np.array(logit_diff), pair, pair, pair, pair, (top, top), ())


def strings_of(fig):
    """Every string of a figure after decoding: to_json itself writes `<` as an escape, which the browser undoes."""

    def walk(node):
        if isinstance(node, str):
            yield node
        elif isinstance(node, dict):
            yield from (s for key, child in node.items() for s in (*walk(key), *walk(child)))
        elif isinstance(node, list):
            yield from (s for child in node for s in walk(child))

    return list(walk(json.loads(fig.to_json())))


def click_layers(fig):
    return [trace for trace in fig.data if trace.type == "scatter" and trace.customdata is not None]


def assert_inert(fig):
    for text in strings_of(fig):
        for bad in ("<img", "<a ", "<a>", "<i>", "<b>bold", "\u202e"):
            assert bad not in text
