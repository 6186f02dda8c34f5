"""A cache is bounded by what its entries weigh, not only by how many they are."""

from mailseal.store.lru import Lru
from mailseal.store.pgp_rows import parsed, weight_of
from pgp_keys import shared_key


def keys(cache):
    return [one for one in range(20) if cache.get(one) is not None]


def test_a_heavy_entry_takes_the_place_of_several():
    cache = Lru(10)
    for number in range(10):
        cache.put(number, "light", cache.generation)
    cache.put(10, "heavy", cache.generation, weight=4)
    assert keys(cache) == [4, 5, 6, 7, 8, 9, 10]
    cache.put(10, "light now", cache.generation)
    for number in range(11, 14):
        cache.put(number, "light", cache.generation)
    assert keys(cache) == [4, 5, 6, 7, 8, 9, 10, 11, 12, 13]
    cache.put(14, "heavier than all", cache.generation, weight=11)
    assert keys(cache) == []


def test_what_is_dropped_or_forgotten_weighs_nothing():
    cache = Lru(10)
    cache.put(1, "heavy", cache.generation, weight=9)
    cache.drop(1)
    cache.put(2, "heavy", cache.generation, weight=9)
    cache.clear()
    for number in range(10):
        cache.put(number, "light", cache.generation)
    assert keys(cache) == list(range(10))


def test_what_a_certificate_weighs():
    small = parsed(shared_key("bob@partner.test").octets)
    large = parsed(shared_key(*(f"{'x' * 1500} {number}" for number in range(20))).octets)
    assert (weight_of(), weight_of(small), weight_of(small, small)) == (1, 1, 2)
    assert 8 < weight_of(large) < 12
