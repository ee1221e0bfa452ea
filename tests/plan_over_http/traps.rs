//! The traps that registries and libraries are known to set, and the tests that spring them.
//!
//! A row is what goes wrong, and where its test is. The test below holds the table against the sources: a row whose
//! test was renamed or removed fails it. What a version of Lagan that only reads cannot do wrong yet (deletion, undo,
//! the journal, the admin API) has no row.

use std::fs;
use std::path::Path;

const HTTP: &str = "crates/registry/tests/http";
const E2E: &str = "tests/plan_over_http";
const LAWS: &str = "crates/policy/tests/laws";

/// What goes wrong, the folder or file of its tests, their names.
const TRAPS: &[(&str, &str, &[&str])] = &[
    // Libraries.
    (
        "referrers: 404, then 429 on the fallback tag, read as none",
        HTTP,
        &["a_fallback_tag_that_cannot_be_read_is_a_failure_and_never_no_referrers"],
    ),
    (
        "the same, to the end",
        E2E,
        &["signatures_that_cannot_be_read_for_lack_of_capacity_are_not_taken_for_none"],
    ),
    (
        "a document with both `layers` and `manifests` read as an image",
        HTTP,
        &["a_document_that_is_both_an_image_and_an_index_is_neither"],
    ),
    (
        "a manifest read by its looks and not by its type",
        HTTP,
        &[
            "a_content_type_that_the_document_contradicts_is_believed_by_nobody",
            "an_index_is_read_by_its_content_type",
        ],
    ),
    (
        "a key that stands there twice",
        HTTP,
        &["a_key_that_stands_there_twice_is_not_read_as_either"],
    ),
    (
        "a subject of an index that is not seen",
        "crates/model/src/manifest.rs",
        &["an_index_lists_its_children_and_an_attachment_names_its_subject"],
    ),
    (
        "errors of authentication swallowed, and anonymous requests sent",
        HTTP,
        &[
            "a_token_service_that_fails_is_an_error_and_nobody_goes_on_without_a_token",
            "a_configuration_that_cannot_be_used_is_an_error_and_never_nobody",
        ],
    ),
    (
        "no new token on 401 in the middle of a run",
        HTTP,
        &["a_token_that_is_refused_mid_run_is_renewed_once_for_everybody"],
    ),
    (
        "scopes without `delete` or the catalog",
        HTTP,
        &[
            "the_right_to_delete_is_asked_for_in_this_repository_and_only_for_the_question",
            "tokens_are_fetched_for_each_scope_once_and_kept",
        ],
    ),
    (
        "names that a lenient grammar takes",
        HTTP,
        &[
            "tags_beyond_the_grammar_fail_their_listing_however_they_look",
            "a_name_outside_the_grammar_fails_the_listing_and_is_shown_escaped",
        ],
    ),
    (
        "`team/*` that matches `team/a/b`",
        "crates/policy/src/pattern.rs",
        &["a_star_stays_within_one_path_segment"],
    ),
    (
        "PEM garbage that is an empty bundle",
        "crates/registry/src/settings.rs",
        &["a_bundle_without_a_usable_certificate_is_refused"],
    ),
    (
        "no system certificates, and plain HTTP fails too",
        HTTP,
        &["a_machine_without_certificates_reads_a_registry_all_the_same"],
    ),
    // Registries: listings.
    (
        "`n` and `last` ignored, everything unsorted and without a Link",
        HTTP,
        &["a_registry_that_ignores_paging_returns_everything_at_once_in_any_order"],
    ),
    (
        "full pages without a Link",
        HTTP,
        &[
            "a_full_page_without_a_link_is_asked_for_what_follows",
            "a_full_page_that_comes_back_the_same_was_everything",
        ],
    ),
    (
        "pages smaller than asked for",
        HTTP,
        &["a_page_smaller_than_asked_for_is_followed_by_its_link_whatever_is_in_it"],
    ),
    (
        "numbers of results refused",
        HTTP,
        &[
            "a_page_that_is_refused_is_asked_for_as_large_as_the_registry_says_and_so_is_every_later_one",
            "a_registry_that_refuses_every_number_is_asked_a_few_times_and_no_more",
        ],
    ),
    (
        "Links that loop, repeat, lead elsewhere, or disagree",
        HTTP,
        &[
            "pages_that_loop_repeat_or_lead_elsewhere_are_an_error_and_never_a_part_of_the_listing",
            "a_link_to_another_host_is_not_followed_and_nothing_reaches_it",
            "the_tags_of_another_repository_are_never_taken_for_this_ones",
            "two_links_to_different_pages_are_an_error_and_the_same_one_twice_is_one",
        ],
    ),
    (
        "failures in the middle of a listing taken for its end",
        HTTP,
        &[
            "a_failure_on_a_later_page_fails_the_listing",
            "a_refusal_in_the_middle_of_a_listing_is_not_its_end",
        ],
    ),
    (
        "truncated, foreign or undecodable pages",
        HTTP,
        &[
            "truncated_and_nonsensical_pages_are_errors",
            "what_is_no_utf_8_is_no_listing_and_no_manifest",
        ],
    ),
    (
        "tags that go while they are read",
        E2E,
        &[
            "a_tag_that_goes_between_listing_and_reading_is_left_out_and_the_rest_is_planned",
            "one_tag_that_is_listed_and_cannot_be_found_leaves_its_repository_alone",
        ],
    ),
    (
        "`tags: null` of an emptied repository",
        HTTP,
        &["an_emptied_repository_has_no_tags_and_no_error"],
    ),
    (
        "a 404 of a proxy taken for the registry's",
        HTTP,
        &["a_404_is_believed_only_from_the_registry_itself"],
    ),
    (
        "no catalog, or not for everybody",
        E2E,
        &["each_is_planned_with_its_catalog_or_says_what_to_give_instead"],
    ),
    (
        "a catalog that lies",
        E2E,
        &[
            "a_registry_that_lies_about_its_catalog_gets_no_plan_and_a_hint",
            "without_a_listing_of_repositories_there_is_no_plan",
        ],
    ),
    (
        "a list of repositories that is empty, broken or gone",
        E2E,
        &["a_list_that_cannot_be_used_is_an_error_and_nothing_is_contacted"],
    ),
    // Registries: content and referrers.
    (
        "`Accept: */*` answered by a false 404",
        HTTP,
        &["a_manifest_comes_with_its_exact_bytes_and_every_kind_was_asked_for"],
    ),
    (
        "a wrong, missing or foreign Docker-Content-Digest",
        HTTP,
        &[
            "the_digest_that_the_registry_states_is_verified_and_kept",
            "a_manifest_asked_for_by_digest_hashes_to_it_whatever_the_header_says",
        ],
    ),
    (
        "any failure of the referrers API read as none",
        HTTP,
        &[
            "any_other_failure_is_an_error_and_never_none",
            "a_200_that_is_no_index_is_an_error_and_never_none",
            "pages_of_referrers_are_read_to_the_end_or_not_at_all",
        ],
    ),
    (
        "`created` missing, zero, 1970 or in the future",
        E2E,
        &["no_date_is_not_an_old_date"],
    ),
    (
        "Docker schema 1 and types that nobody knows",
        E2E,
        &["manifests_that_are_no_such_thing_leave_their_repository_alone"],
    ),
    (
        "deletion of single tags assumed",
        HTTP,
        &["what_the_registry_says_of_tags_is_believed_only_in_its_own_words"],
    ),
    (
        "a question that itself deletes",
        E2E,
        &[
            "each_is_asked_what_it_deletes_and_loses_nothing_by_it",
            "a_dry_run_only_reads_and_says_what_it_therefore_does_not_know",
        ],
    ),
    // Accidents of others.
    (
        "one tag deleted, and all on its digest with it",
        LAWS,
        &["deleting_one_tag_never_wipes_the_other_tags_of_its_digest"],
    ),
    (
        "children of tagged images pruned as untagged",
        LAWS,
        &["children_of_tagged_indexes_are_not_garbage"],
    ),
    (
        "a child of two indexes",
        LAWS,
        &["a_child_shared_by_two_indexes_goes_with_the_last_of_them"],
    ),
    (
        "keep three that keeps none",
        LAWS,
        &["keep_three_keeps_three_also_where_tags_share_digests"],
    ),
    (
        "tags on the keep list deleted",
        LAWS,
        &["tags_on_the_keep_list_survive_every_rule"],
    ),
    (
        "ties that fall at random",
        LAWS,
        &["times_of_one_digest_tie_by_tag_and_not_at_random"],
    ),
    (
        "an alternation that is anchored in part",
        LAWS,
        &["an_ungrouped_alternation_deletes_nothing_beside_its_words"],
    ),
    (
        "signatures that take the places of images",
        LAWS,
        &["signatures_take_no_place_however_new_they_are"],
    ),
    (
        "a clock that a registry does not have",
        LAWS,
        &["a_clock_that_the_registry_does_not_have_keeps_everything"],
    ),
    (
        "one failure that ends the run, or is reported as success",
        E2E,
        &["what_cannot_be_read_of_a_repository_leaves_that_repository_alone"],
    ),
    // Security.
    (
        "a realm, redirect or Link that takes credentials elsewhere",
        HTTP,
        &[
            "a_realm_that_may_not_have_credentials_gets_no_request_at_all",
            "a_token_call_follows_no_redirect",
            "a_redirect_of_a_listing_is_followed_at_home_only",
            "a_manifest_is_not_fetched_from_another_origin",
            "a_blob_comes_from_object_storage_which_never_sees_the_credentials",
            "credentials_do_not_come_back_with_a_redirect_that_returns_home",
            "object_storage_cannot_ask_for_the_credentials_by_a_challenge",
        ],
    ),
    (
        "memory: bodies, pages and packed bombs",
        HTTP,
        &[
            "bodies_that_never_end_are_left_at_their_limit",
            "what_unpacks_to_more_than_its_limit_is_not_read",
            "a_body_that_unpacks_to_more_than_the_limit_is_not_read",
            "a_page_of_more_than_8_mib_is_not_read_whether_it_says_so_or_not",
            "a_manifest_of_more_than_4_mib_is_not_read",
        ],
    ),
    (
        "time: answers that never come",
        HTTP,
        &["headers_or_bodies_that_never_come_meet_the_deadline"],
    ),
    (
        "injection through what a registry says",
        E2E,
        &[
            "error_bodies_and_labels_do_no_harm",
            "names_that_no_registry_may_list_are_refused_and_shown_escaped",
        ],
    ),
    (
        "formulas in a spreadsheet",
        "crates/report/src/plan/tests/csv.rs",
        &["formulas_quotes_and_line_breaks_in_names_stay_text_in_one_cell"],
    ),
    (
        "secrets in logs and errors",
        HTTP,
        &["neither_logs_nor_errors_nor_debug_show_a_secret"],
    ),
    (
        "helpers run by a shell, from a relative path, without an end",
        HTTP,
        &[
            "helpers_are_run_from_absolute_folders_by_a_plain_name_only",
            "what_a_helper_does_wrong_is_told_and_nothing_is_asked_of_the_registry",
        ],
    ),
    (
        "more rights than a request needs",
        "crates/registry/src/token.rs",
        &["a_scope_asks_for_no_more_than_its_request_needs"],
    ),
];

/// The text of a file, or of all files of a folder.
fn sources(place: &Path) -> String {
    if place.is_file() {
        return fs::read_to_string(place).unwrap();
    }
    let mut text = String::new();
    for entry in fs::read_dir(place).unwrap() {
        let path = entry.unwrap().path();
        // This table itself names every test.
        if path.extension().is_some_and(|extension| extension == "rs") && !path.ends_with("traps.rs") {
            text.push_str(&fs::read_to_string(path).unwrap());
        }
    }
    text
}

#[test]
fn every_trap_has_its_tests() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let mut missing = Vec::new();
    for (trap, place, tests) in TRAPS {
        let text = sources(&root.join(place));
        assert!(!tests.is_empty(), "{trap}");
        for test in *tests {
            let declared = format!("fn {test}(");
            let marked = text
                .match_indices(&declared)
                .any(|(at, _)| text[..at].trim_end_matches("async ").trim_end().ends_with(']'));
            if !marked {
                missing.push(format!("{place}: {test} ({trap})"));
            }
        }
    }
    assert!(missing.is_empty(), "{missing:#?}");
}
