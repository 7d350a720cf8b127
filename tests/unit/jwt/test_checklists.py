"""RFC 8725 (sections 2 and 3) and RFC 9068 (section 4) as checklists: which test proves what."""

import importlib

import pytest

SIGNATURE, ACCESS, KEYSET, EXAMPLES = (
    f"tests.unit.jwt.{name}"
    for name in ("test_signature", "test_access", "test_keyset", "test_rfc_examples")
)
RFC_8725 = {
    "2.1, 3.1 algorithms verified": [
        (SIGNATURE, "test_an_algorithm_that_is_not_allowed_is_refused_though_the_signature_holds"),
        (SIGNATURE, "test_a_mac_made_with_the_public_key_is_refused_even_where_macs_are_allowed"),
        (SIGNATURE, "test_a_key_is_not_used_with_another_algorithm_than_it_states"),
    ],
    "3.2 appropriate algorithms": [
        (SIGNATURE, "test_alg_none_is_refused"),
        (KEYSET, "test_a_key_that_is_not_for_signatures_or_unknown_or_broken_is_ignored"),
    ],
    "3.3 all operations validated": [(EXAMPLES, "test_9068_4_an_encrypted_token_is_refused")],
    "2.5, 3.4 inputs to cryptography validated": [
        (KEYSET, "test_a_key_that_is_not_for_signatures_or_unknown_or_broken_is_ignored"),
        (
            "tests.unit.jwt.test_wycheproof",
            "test_each_key_set_is_taken_or_refused_as_wycheproof_does",
        ),
    ],
    "2.2, 3.5 keys with enough entropy": [
        (KEYSET, "test_a_set_that_publishes_a_secret_or_private_key_is_refused"),
    ],
    "2.4, 3.6 nothing compressed": [
        (SIGNATURE, "test_a_header_member_that_changes_the_meaning_is_refused"),
    ],
    "2.6, 3.7 UTF-8": [
        (SIGNATURE, "test_json_that_is_not_strict_is_malformed_though_the_signature_holds"),
    ],
    "3.8 issuer and subject": [
        (ACCESS, "test_an_issuer_that_is_not_exactly_the_configured_one_is_refused"),
        (ACCESS, "test_a_key_of_another_issuer_is_refused_though_the_signature_holds"),
        (
            "tests.unit.core.test_claims",
            "test_a_name_or_subject_that_is_not_printable_ascii_is_refused",
        ),
    ],
    "2.7, 2.9, 3.9 audience": [
        (ACCESS, "test_an_audience_of_others_alone_is_refused"),
        (ACCESS, "test_a_token_without_an_audience_is_refused"),
    ],
    "2.10, 3.10 received claims are not trusted": [
        (SIGNATURE, "test_a_key_brought_along_in_the_header_is_not_used"),
        (SIGNATURE, "test_a_bad_header_makes_nobody_fetch_keys"),
    ],
    "2.8, 3.11 explicit types": [
        (SIGNATURE, "test_another_typ_is_refused_whether_or_not_it_may_be_absent"),
    ],
    "2.8, 3.12 rules that exclude each other": [
        (ACCESS, "test_an_id_token_is_refused"),
        (ACCESS, "test_a_security_event_or_logout_token_is_refused"),
        (ACCESS, "test_a_token_that_says_it_is_of_another_kind_is_refused"),
        (ACCESS, "test_an_app_only_token_is_refused"),
    ],
}
RFC_9068_4 = {
    "typ is at+jwt or application/at+jwt": [
        (SIGNATURE, "test_typ_is_compared_without_case_and_media_prefix"),
        (SIGNATURE, "test_an_absent_typ_is_accepted_only_where_it_may_be_absent"),
    ],
    "iss exactly": [
        (ACCESS, "test_an_issuer_that_is_not_exactly_the_configured_one_is_refused"),
        (ACCESS, "test_a_token_without_an_issuer_is_refused"),
    ],
    "aud": [(ACCESS, "test_an_audience_is_one_or_several_of_which_one_is_ours")],
    "signature, and none refused": [
        (SIGNATURE, "test_alg_none_is_refused"),
        (SIGNATURE, "test_a_signature_by_another_key_is_refused"),
    ],
    "exp": [
        (ACCESS, "test_a_token_is_refused_at_exp_and_not_before"),
        (ACCESS, "test_a_token_without_exp_is_malformed"),
    ],
}


@pytest.mark.parametrize(
    ("module", "name"),
    [
        proof
        for checklist in (RFC_8725, RFC_9068_4)
        for proofs in checklist.values()
        for proof in proofs
    ],
)
def test_what_a_checklist_rests_on_exists(module: str, name: str) -> None:
    assert callable(getattr(importlib.import_module(module), name))
