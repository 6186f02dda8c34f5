"""The cost of a path search under hostile certificates: counted, not timed, wherever that can be done."""

import time
from collections import Counter
from dataclasses import replace
from itertools import pairwise

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import rsa
from hypothesis import given
from hypothesis import strategies as st
from pyhanko_certvalidator import name_trees
from pyhanko_certvalidator.sig_validate import DefaultSignatureValidator

import pki
from mailseal.policy.reason import ReasonCode
from mailseal.smime import der, path, path_search
from mailseal.smime.certificate import MAX_RSA_BITS, CertificateError, parse_certificate, public_key
from mailseal.smime.extension import MAX_EMAILS
from mailseal.smime.name import normalised
from mailseal.smime.path import validate
from mailseal.smime.revocation import NO_CRLS
from mailseal.smime.strict import DerError
from pki import DAY, NOW

ROOT = pki.Authority("Bounds Root")
ISSUING = ROOT.subordinate("Bounds CA")
ANNA = ISSUING.issue("anna@example.com", key="p256")
UNTRUSTED = (False, ReasonCode.CERTIFICATE_UNTRUSTED)


def judge(one, intermediates=(), roots=(ROOT,)):
    return validate(
        one.certificate,
        [each.certificate for each in intermediates],
        [each.certificate for each in roots],
        NO_CRLS,
        NOW,
        crl_grace=7 * DAY,
    )


def outcome(*given_):
    verdict = judge(*given_)
    return verdict.trusted, verdict.reason


@pytest.fixture
def work(monkeypatch):
    """Counts what is expensive: signature checks, certificates parsed for a path, paths validated, names compared."""
    counts = Counter()

    def counted(owner, name, label):
        real = getattr(owner, name)

        def wrapped(*positional, **named):
            counts[label] += 1
            return real(*positional, **named)

        monkeypatch.setattr(owner, name, wrapped)

    counted(DefaultSignatureValidator, "validate_signature", "signatures")
    counted(path_search, "node", "nodes")
    counted(path_search.Signatures, "hold", "steps")
    counted(path, "_validate", "paths")
    for kind, real in name_trees._name_type_checkers.items():
        monkeypatch.setitem(
            name_trees._name_type_checkers, kind, lambda *names, real=real: (counts.update(["names"]), real(*names))[1]
        )
    return counts


def within_budget(work):
    assert work["signatures"] <= path_search.MAX_SIGNATURE_CHECKS
    assert work["nodes"] <= path_search.MAX_STEPS
    assert work["steps"] <= path_search.MAX_STEPS
    assert work["paths"] <= path.MAX_VALIDATIONS
    assert work["names"] <= path.MAX_NAME_COMPARISONS


# issuers


def test_many_authorities_of_one_name(work):
    fakes = [pki.Authority("Bounds CA", parent=ROOT) for _ in range(200)]
    assert outcome(ANNA, fakes) == UNTRUSTED
    assert work["signatures"] == work["nodes"] == path_search.MAX_ISSUERS
    assert work["paths"] == 0


def test_the_key_identifier_finds_the_right_one_among_many(work):
    fakes = [pki.Authority("Bounds CA", parent=ROOT) for _ in range(200)]
    assert judge(ANNA, [*fakes, ISSUING]).trusted
    assert work["paths"] == 1
    assert work["signatures"] <= 2 + path_search.MAX_ISSUERS


def test_many_roots_of_one_name(work):
    roots = [pki.Authority("Bounds CA") for _ in range(100)]
    assert outcome(ANNA, [ISSUING], roots) == UNTRUSTED
    assert work["signatures"] == path_search.MAX_ISSUERS


def test_names_that_only_look_alike_cost_no_signature(work):
    """What is not a letter or a digit is left out of the key for finding, not out of the comparison."""
    alike = [pki.Authority("Bounds-CA" + "." * number, key=ISSUING.key) for number in range(50)]
    assert outcome(ANNA, alike) == UNTRUSTED
    assert work["signatures"] == 0
    assert work["nodes"] <= path_search.MAX_ISSUERS


# chains and circles


def chain(length, root):
    above, found = root, []
    for number in range(length):
        above = above.subordinate(f"Long {number}")
        found.append(above)
    return above.issue("a@b.de", key="p256"), found


def test_the_longest_path(work):
    leaf, found = chain(path_search.MAX_PATH - 2, ROOT)
    assert judge(leaf, found).trusted
    work.clear()
    leaf, found = chain(path_search.MAX_PATH - 1, ROOT)
    assert outcome(leaf, found) == UNTRUSTED
    assert work["paths"] == 0


def test_a_long_chain_is_not_climbed(work):
    leaf, found = chain(60, ROOT)
    assert outcome(leaf, found) == UNTRUSTED
    assert work["signatures"] <= path_search.MAX_PATH


def test_circles(work):
    keys = [pki.make_key("p256", fresh=True) for _ in range(3)]
    names = ["Circle 0", "Circle 1", "Circle 2"]
    above = [pki.Authority(name, key=key) for name, key in zip(names, keys, strict=True)]
    circle = [pki.Authority(names[n], key=keys[n], parent=above[(n + 1) % 3]) for n in range(3)]
    leaf = circle[0].issue("a@b.de", key="p256")
    assert outcome(leaf, [*circle, *above]) == UNTRUSTED
    assert work["paths"] == 0
    # Once round, and for each authority its certificate by itself: no authority stands on a path twice.
    assert work["steps"] <= 8
    # A way out of the circle is found.
    out = pki.Authority(names[2], key=keys[2], parent=ROOT)
    assert judge(leaf, [*circle, *above, out]).trusted


def clique(size, *, root=None):
    """(leaf maker, authorities) that all certify each other; below the root, if there is one."""
    keys = [pki.make_key("p256", fresh=True) for _ in range(size)]
    above = [pki.Authority(f"Clique {n}", key=keys[n]) for n in range(size)]
    mesh = [
        pki.Authority(f"Clique {one}", key=keys[one], parent=above[other])
        for one in range(size)
        for other in range(size)
        if one != other
    ]
    anchored = [pki.Authority(f"Clique {n}", key=keys[n], parent=root) for n in range(size)] if root else []
    return above[0], [*mesh, *anchored]


def test_a_clique_without_a_root(work):
    issuer, mesh = clique(12)
    assert outcome(issuer.issue("a@b.de", key="p256"), mesh) == UNTRUSTED
    assert work["paths"] == 0
    within_budget(work)


UNKNOWN = [(x509.UnrecognizedExtension(x509.ObjectIdentifier("1.2.3.4"), b"\x05\x00"), True)]


def test_a_clique_below_a_root_whose_paths_are_all_refused(work):
    issuer, mesh = clique(5, root=ROOT)
    # The ways out first, so that there are many paths.
    assert outcome(issuer.issue("a@b.de", key="p256", extra=UNKNOWN), mesh[::-1]) == UNTRUSTED
    assert 5 < work["paths"] <= path.MAX_VALIDATIONS
    within_budget(work)
    assert judge(issuer.issue("a@b.de", key="p256"), mesh).trusted


def test_the_number_of_validations_is_bounded_of_itself(work, monkeypatch):
    monkeypatch.setattr(path, "MAX_VALIDATIONS", 3)
    issuer, mesh = clique(5, root=ROOT)
    assert outcome(issuer.issue("a@b.de", key="p256", extra=UNKNOWN), mesh[::-1]) == UNTRUSTED
    assert work["paths"] == 3


def test_an_honest_path_is_found_beside_a_hostile_clique(work):
    keys = [pki.make_key("p256", fresh=True) for _ in range(8)]
    mesh = [
        pki.Authority("Bounds CA", key=one, parent=pki.Authority("Bounds CA", key=other))
        for one in keys
        for other in keys
    ]
    assert judge(ANNA, [*mesh, ISSUING]).trusted
    within_budget(work)


NAMES = range(4)
KEYS = [pki.make_key("p256", fresh=True) for _ in NAMES]
ABOVE = [pki.Authority(f"Graph {n}", key=key) for n, key in zip(NAMES, KEYS, strict=True)]
EDGES = {
    (child, parent): pki.Authority(f"Graph {child}", key=KEYS[child], parent=ABOVE[parent])
    for child in NAMES
    for parent in NAMES
    if child != parent
}
GRAPH_LEAF = ABOVE[0].issue("a@b.de", key="p256")


@given(st.sets(st.sampled_from(sorted(EDGES))), st.sampled_from(NAMES))
def test_in_any_graph_a_path_is_found_exactly_where_there_is_one(edges, root):
    reached = {0}
    for _ in NAMES:
        reached |= {parent for child, parent in edges if child in reached}
    verdict = judge(GRAPH_LEAF, [EDGES[edge] for edge in sorted(edges)], [ABOVE[root]])
    assert verdict.trusted == (root in reached)


# keys


def with_rsa(modulus_bits, exponent):
    """A CA certificate whose RSA key nobody has: any odd number looks like a modulus."""
    public = rsa.RSAPublicNumbers(exponent, (1 << modulus_bits - 1) | 1).public_key()

    class Borrowed:
        def public_key(self):
            return public

    signed = ROOT._sign(
        subject=ISSUING.subject,
        key=Borrowed(),
        not_before=NOW - DAY,
        not_after=NOW + DAY,
        serial=None,
        extensions=[(x509.BasicConstraints(ca=True, path_length=None), True)],
    )
    return signed.public_bytes(pki.Encoding.DER)


def test_the_largest_rsa_keys_are_used_a_few_times(work):
    rivals = [parse_certificate(with_rsa(MAX_RSA_BITS, 65537)) for _ in range(30)]
    assert {one.key_algorithm for one in rivals} == {"rsa-16384"}
    leaf = pki.Authority("Bounds CA", "rsa2048", parent=ROOT).issue("a@b.de")
    began = time.process_time()
    verdict = validate(leaf.certificate, rivals, [ROOT.certificate], NO_CRLS, NOW, crl_grace=7 * DAY)
    assert time.process_time() - began < 2
    assert (verdict.trusted, verdict.reason) == UNTRUSTED
    # One key in many certificates is one check.
    assert work["signatures"] == 1


@pytest.mark.parametrize("bits", [2048, MAX_RSA_BITS])
def test_rsa_keys_with_a_huge_exponent_are_not_used(work, bits):
    rival = parse_certificate(with_rsa(bits, (1 << bits - 2) | 1))
    with pytest.raises(CertificateError, match="too large"):
        public_key(rival)
    leaf = pki.Authority("Bounds CA", "rsa2048", parent=ROOT).issue("a@b.de")
    verdict = validate(leaf.certificate, [rival], [ROOT.certificate], NO_CRLS, NOW, crl_grace=7 * DAY)
    assert (verdict.trusted, verdict.reason) == UNTRUSTED
    assert work["signatures"] == 0


@pytest.mark.parametrize("bits", [MAX_RSA_BITS + 1, MAX_RSA_BITS + 8, 2 * MAX_RSA_BITS])
def test_larger_rsa_keys_are_no_certificates(bits):
    with pytest.raises(CertificateError, match="too large"):
        parse_certificate(with_rsa(bits, 65537))


# sizes


def noise(octets):
    return [(x509.UnrecognizedExtension(x509.ObjectIdentifier("1.2.3.4"), bytes(octets)), False)]


def test_a_large_certificate_does_not_stand_on_a_path(work):
    assert judge(ISSUING.issue("a@b.de", key="p256", extra=noise(60_000)), [ISSUING]).trusted
    assert outcome(ISSUING.issue("a@b.de", key="p256", extra=noise(70_000)), [ISSUING]) == UNTRUSTED
    with pytest.raises(CertificateError, match="256 KiB"):
        ISSUING.issue("a@b.de", key="p256", extra=noise(270_000))


def test_many_addresses():
    several = ISSUING.issue([f"a{n}@example.com" for n in range(MAX_EMAILS)], key="p256")
    assert len(several.certificate.san_emails) == MAX_EMAILS
    assert judge(several, [ISSUING]).trusted
    with pytest.raises(CertificateError, match="too many addresses"):
        ISSUING.issue([f"a{n}@example.com" for n in range(MAX_EMAILS + 1)], key="p256")


# name constraints


def constrained(names, *, excluded=False):
    limits = x509.NameConstraints(*((None, names) if excluded else (names, None)))
    return ROOT.subordinate("Constraining CA", name_constraints=limits)


@pytest.mark.parametrize("excluded", [False, True])
def test_many_names_under_many_constraints_are_refused_uncompared(work, excluded):
    between = constrained([x509.RFC822Name(f"{n}.example.com") for n in range(600)], excluded=excluded)
    leaf = between.issue([f"a@{n}.example.com" for n in range(600)], key="p256")
    assert outcome(leaf, [between]) == UNTRUSTED
    assert work["names"] == 0


def test_long_names_under_many_constraints_are_refused_uncompared(work):
    between = constrained([x509.DNSName(f"{n}.com") for n in range(2000)])
    leaf = between.issue("a@b.de", key="p256", san=[x509.DNSName("a." * 10_000 + "com")])
    assert outcome(leaf, [between]) == UNTRUSTED
    assert work["names"] == 0


def test_a_usual_number_of_names_and_constraints_is_compared(work):
    between = constrained([x509.RFC822Name(f"{n}.example.com") for n in range(100)])
    assert judge(between.issue([f"a@{n}.example.com" for n in range(50)], key="p256"), [between]).trusted
    assert outcome(between.issue("a@example.org", key="p256"), [between]) == UNTRUSTED
    within_budget(work)


def test_the_comparisons_of_all_paths_count_together(work):
    """Each of the paths through a clique may be cheap enough; all of them are not."""
    top = constrained([x509.RFC822Name(f"{n}.example.com") for n in range(100)], excluded=True)
    issuer, mesh = clique(4, root=top)
    leaf = issuer.issue([f"a@{n}.example.org" for n in range(50)], key="p256", extra=UNKNOWN)
    assert outcome(leaf, [*mesh[::-1], top]) == UNTRUSTED
    assert 1 < work["paths"] < 5
    assert work["names"] > 5000
    within_budget(work)


# policies


def test_policies_that_multiply_are_cut_off(work):
    """Each authority maps each of its policies to all of the next one's (RFC 9618 §2)."""
    numbers = range(250)
    every = x509.CertificatePolicies(
        [x509.PolicyInformation(x509.ObjectIdentifier(f"1.2.3.{n}"), None) for n in numbers]
    )
    pairs = (
        der.sequence(der.oid(f"1.2.3.{one}"), der.oid(f"1.2.3.{other}"))
        for one in numbers
        for other in numbers[one % 25 :: 25]
    )
    mappings = x509.UnrecognizedExtension(x509.ObjectIdentifier("2.5.29.33"), der.sequence(*pairs))
    authorities = [ROOT, *(pki.Authority(f"Policies {n}") for n in range(6))]
    found = [
        parse_certificate(
            above._sign(
                subject=below.subject,
                key=below.key,
                not_before=NOW - DAY,
                not_after=NOW + DAY,
                serial=None,
                extensions=[
                    (x509.BasicConstraints(ca=True, path_length=None), True),
                    (every, False),
                    (mappings, False),
                ],
            ).public_bytes(pki.Encoding.DER)
        )
        for above, below in pairwise(authorities)
    ]
    leaf = authorities[-1].issue("a@b.de", key="p256", extra=[(every, False)])
    began = time.process_time()
    verdict = validate(leaf.certificate, found, [ROOT.certificate], NO_CRLS, NOW, crl_grace=7 * DAY)
    assert time.process_time() - began < 5
    assert (verdict.trusted, verdict.reason) == UNTRUSTED
    assert work["paths"] == 1


@pytest.mark.parametrize("text", ["\ufdfa" * 600, "a" * 2048, " a" * 1100])
def test_names_that_are_slow_to_compare_are_not_compared(work, text):
    """U+FDFA stands for 18 characters: dozens of such names once took 20 s."""
    name = der.sequence(der.element(0x31, der.sequence(der.oid("2.5.4.3"), der.element(0x0C, text.encode()))))
    with pytest.raises(DerError, match="too long"):
        normalised(name)
    leaf = replace(ANNA.certificate, issuer_der=name)
    assert path_search.node(leaf) is None
