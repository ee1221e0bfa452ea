//! The traps that registries and libraries are known to set, and the tests that spring them.
//!
//! A row is what goes wrong, and where its test is. The test below holds the table against the sources: a row whose
//! test was renamed, removed or is ignored fails it.

use std::fs;
use std::path::Path;

const HTTP: &str = "crates/registry/tests/http";
const E2E: &str = "tests/plan_over_http";
const LAWS: &str = "crates/policy/tests/laws";
const APPLY: &str = "tests/apply_over_http";
const APPLY_HARBOR: &str = "tests/apply_over_http/harbor";
const REAL: &str = "tests/real_registry";
const TRANSPORT: &str = "crates/registry/src/transport/tests.rs";

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
        "the same over HTTP",
        HTTP,
        &["an_index_names_its_subject_as_an_image_does_and_one_that_cannot_be_read_is_not_none"],
    ),
    (
        "errors of authentication swallowed, and anonymous requests sent",
        HTTP,
        &[
            "a_token_service_that_fails_is_an_error_and_nobody_goes_on_without_a_token",
            "a_configuration_that_cannot_be_used_is_an_error_and_never_nobody",
            "a_password_that_became_an_identity_token_is_an_error_and_nobody_goes_on_without_either",
            "an_identity_token_that_the_registry_has_no_use_for_is_told_and_used_as_soon_as_it_has",
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
    // Libraries and registries: changes.
    (
        "a PUT whose answer has no Location",
        HTTP,
        &["a_digest_that_comes_back_wrong_is_an_error_and_a_missing_one_is_not"],
    ),
    (
        "credentials of a host that stick, though they changed",
        HTTP,
        &[
            "a_password_file_is_read_anew_when_it_changes",
            "a_helper_is_asked_again_when_what_it_gave_is_refused",
        ],
    ),
    (
        "hosts that are IPv6 addresses, or no host",
        "crates/registry/src/address.rs",
        &["a_url_is_a_scheme_a_host_and_perhaps_a_port_and_a_prefix"],
    ),
    (
        "`v1.2.3` and `1.2` refused, prereleases outside of every range",
        "crates/policy/src/version/tests.rs",
        &[
            "a_release_is_stable",
            "what_has_no_full_version_floats",
            "requirements_are_ranges_in_the_order_of_the_table",
        ],
    ),
    (
        "DELETE: by tag refused, by digest every tag, gone, switched off",
        HTTP,
        &[
            "a_deletion_names_the_digest_and_nothing_else",
            "a_single_tag_is_deleted_only_where_the_registry_was_seen_to",
            "only_the_registry_itself_says_that_there_is_nothing_to_delete",
            "a_registry_that_deletes_nothing_is_remembered_as_such",
        ],
    ),
    (
        "a DELETE or PUT that is sent twice",
        TRANSPORT,
        &[
            "a_change_that_is_refused_in_passing_is_made_once_and_a_read_is_tried_again",
            "a_change_whose_answer_is_lost_is_made_once_and_told_as_perhaps_done",
            "a_change_follows_no_redirect_not_even_at_home",
        ],
    ),
    (
        "an index put before its children, by digest without its tag",
        APPLY,
        &["apply_then_undo_leaves_everything_as_it_was_on_every_kind_of_registry"],
    ),
    (
        "JSON that is written anew",
        HTTP,
        &["a_manifest_is_put_with_its_exact_bytes_and_its_type"],
    ),
    (
        "the same against docker-registry itself",
        REAL,
        &["twenty_repositories_are_deleted_from_and_brought_back_byte_for_byte"],
    ),
    (
        "HEAD 200, PUT 201, and GET 404: a registry that remembers what was collected",
        REAL,
        &["a_registry_that_remembers_what_was_collected_is_believed_when_it_has_forgotten"],
    ),
    (
        "the same elsewhere",
        APPLY,
        &["a_registry_that_says_created_and_keeps_nothing_is_not_believed"],
    ),
    (
        "blobs that are claimed and not served",
        HTTP,
        &["a_registry_that_claims_a_blob_and_serves_none_has_none"],
    ),
    (
        "a mount that is none",
        HTTP,
        &[
            "a_mount_of_another_blob_than_was_named_is_none",
            "what_is_not_mounted_is_copied_by_the_upload_that_was_begun_instead",
            "an_upload_that_goes_on_elsewhere_gets_no_bytes",
        ],
    ),
    (
        "passwords that end with a 403, tokens that end while a request waits",
        HTTP,
        &[
            "a_password_that_has_ended_is_asked_for_again_also_where_that_is_told_by_a_403",
            "a_token_that_ends_while_its_request_waits_is_renewed_when_it_is_refused",
            "a_token_that_ended_in_the_middle_of_a_run_is_replaced_and_the_deletion_made_once",
        ],
    ),
    (
        "a catalog that takes no token, or for which none is given",
        HTTP,
        &[
            "a_catalog_that_takes_the_password_and_no_token_gets_it_and_nothing_else_does",
            "a_catalog_that_the_token_service_refuses_is_told_as_one_that_the_registry_refuses",
        ],
    ),
    (
        "an empty catalog of a registry that is not empty",
        "crates/engine/src/tests/mod.rs",
        &["a_catalog_without_a_repository_is_told_as_that_and_not_as_a_pattern_that_matches_none"],
    ),
    // Harbor.
    (
        "pages that shift, short and empty pages, unknown keys passed over",
        "crates/registry/src/harbor/walk.rs",
        &[
            "what_is_deleted_and_pushed_meanwhile_moves_nothing",
            "pages_out_of_which_everything_was_cut_are_not_the_end",
            "an_answer_to_another_question_is_noticed",
            "a_count_that_is_never_met_comes_to_an_end",
            "a_walk_by_numbers_counts_only_if_nothing_moved",
        ],
    ),
    (
        "the same over HTTP",
        HTTP,
        &[
            "a_listing_that_answers_another_question_is_no_listing",
            "a_listing_that_says_to_be_endless_is_left_at_its_first_page",
            "pages_that_are_too_large_are_asked_for_in_smaller_ones",
        ],
    ),
    (
        "names with slashes that a proxy decodes",
        E2E,
        &["a_proxy_that_loses_names_with_slashes_decides_nothing_of_them"],
    ),
    (
        "a failed tag lookup that looks like none, immutability that fails open",
        APPLY_HARBOR,
        &[
            "tags_that_harbor_fails_to_look_up_are_not_taken_for_none",
            "an_immutable_rule_that_comes_in_between_keeps_the_artifact_with_all_its_tags",
            "an_immutable_tag_is_asked_about_right_before_it_goes_and_is_kept",
        ],
    ),
    (
        "the same in a plan",
        E2E,
        &[
            "an_immutable_tag_is_kept_by_the_mark_by_our_own_reading_of_the_rule_and_where_neither_can_tell",
            "what_has_no_tag_goes_unless_it_is_a_child_an_accessory_or_only_looks_so",
        ],
    ),
    (
        "a missing repository that lists as empty",
        E2E,
        &["a_project_that_the_account_may_not_see_and_one_that_is_not_there_are_told"],
    ),
    (
        "the same by the time it is deleted from",
        APPLY_HARBOR,
        &["a_repository_that_is_gone_by_now_is_left_out"],
    ),
    (
        "wrong credentials that make nobody of us",
        HTTP,
        &["credentials_that_make_nobody_of_us_are_refused"],
    ),
    (
        "never pulled, pulled by digest",
        E2E,
        &[
            "pushes_pulls_and_labels_decide_and_what_was_never_pulled_counts_from_its_push",
            "a_pull_of_a_platform_keeps_its_index",
        ],
    ),
    (
        "reads that count as pulls",
        APPLY_HARBOR,
        &["nothing_that_lagan_does_counts_as_a_pull"],
    ),
    (
        "hidden children, accessories, `.att` and `.sbom` tags",
        E2E,
        &[
            "accessories_and_pinned_tags_follow_their_subject",
            "an_index_in_an_index_keeps_what_it_lists",
        ],
    ),
    (
        "cookies that make a browser of us",
        HTTP,
        &[
            "a_harbor_is_known_by_its_challenge_and_signed_in_to_without_a_cookie_or_a_token",
            "each_tag_goes_before_the_artifact_and_every_request_names_things_as_harbor_wants_them",
            "a_collection_is_asked_for_once_and_takes_no_untagged_artifacts_unless_that_is_said",
        ],
    ),
    (
        "401, 403 and 5xx that explain nothing",
        E2E,
        &[
            "a_failure_that_harbor_does_not_explain_makes_its_repository_incomplete_and_no_other",
            "a_permission_that_is_missing_is_named_with_the_project_and_nothing_is_decided_there",
        ],
    ),
    (
        "`page_size=0`, which is everything at once, and a Link that is not escaped",
        HTTP,
        &[
            "however_large_the_pages_are_none_is_asked_for_of_no_size",
            "the_link_of_a_listing_is_not_read",
        ],
    ),
    (
        "permissions that are missing, read-only mode",
        APPLY_HARBOR,
        &[
            "a_missing_permission_is_named_for_its_project_and_nothing_is_sent",
            "in_read_only_mode_nothing_is_changed_and_that_is_what_is_said",
            "an_error_that_explains_nothing_is_looked_into_and_never_tried_again",
        ],
    ),
    (
        "an artifact that takes its tags, children and accessories along",
        APPLY_HARBOR,
        &[
            "a_tag_that_is_put_on_it_while_it_is_being_deleted_saves_it",
            "a_tag_that_moves_is_not_taken_off_what_it_is_on_now",
            "what_is_attached_meanwhile_saves_its_subject",
            "a_child_that_has_a_tag_or_another_index_stays_when_its_index_goes",
        ],
    ),
    (
        "quotas that are counted at each deletion",
        APPLY_HARBOR,
        &[
            "no_two_deletions_are_ever_under_way_in_one_project_and_none_is_sent_twice",
            "two_seconds_of_counting_storage_neither_time_out_nor_multiply",
        ],
    ),
    (
        "an undo that a proxy cache refuses",
        APPLY_HARBOR,
        &["an_undo_in_what_caches_another_registry_says_so_and_reads_nothing_through"],
    ),
    (
        "collections, replication and retention that get in the way",
        "tests/doctor",
        &[
            "a_collection_at_work_is_a_warning_and_one_that_has_ended_is_not",
            "a_schedule_says_until_when_undo_is_possible_and_delete_untagged_is_a_warning",
            "replication_that_copies_deletions_of_what_a_policy_decides_is_a_warning",
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
        "names that lead inside: the cloud's metadata, this machine, a private network",
        "crates/registry/src/guard.rs",
        &[
            "a_name_from_outside_leads_no_further_inside_than_the_registry_is",
            "an_address_in_the_url_is_checked_before_anybody_resolves_anything",
        ],
    ),
    (
        "the same over HTTP",
        TRANSPORT,
        &[
            "a_token_service_whose_name_leads_inside_gets_no_request",
            "a_redirect_to_a_name_that_leads_inside_is_not_followed",
        ],
    ),
    (
        "from https to http: Link, redirect, blob, realm",
        HTTP,
        &[
            "nothing_leads_from_https_to_plain_http",
            "a_registry_behind_tls_that_names_a_token_service_without_gets_no_token",
        ],
    ),
    (
        "a registry at an IPv6 address, whose origin has brackets",
        HTTP,
        &["a_registry_at_an_ipv6_address_is_one_like_any_other"],
    ),
    (
        "credentials at another host: the password and the certificate",
        HTTP,
        &[
            "the_password_goes_to_a_token_service_elsewhere_only_where_that_is_named",
            "a_token_service_and_object_storage_elsewhere_are_not_shown_the_certificate",
            "a_blob_does_not_come_from_a_link_local_address",
        ],
    ),
    (
        "memory: listings of many pages, referrers without end, nested JSON",
        HTTP,
        &[
            "pages_that_are_too_large_together_are_not_read_to_the_end",
            "more_referrers_than_anybody_has_are_not_read_to_the_end",
            "whatever_nests_too_deep_is_malformed_even_where_nobody_looks",
        ],
    ),
    (
        "memory: pages, names and entries without end",
        "crates/registry/src/page.rs",
        &[
            "a_listing_of_ever_more_pages_comes_to_an_end",
            "a_listing_of_more_names_than_are_read_comes_to_an_end",
            "pages_that_are_each_small_enough_are_not_too_large_together",
        ],
    ),
    (
        "the same by Harbor's API",
        "crates/registry/src/harbor/api.rs",
        &["a_listing_ends_at_its_limits_or_where_it_says_that_it_goes_beyond_them"],
    ),
    (
        "memory and time: headers without end, answers that only announce others",
        TRANSPORT,
        &[
            "headers_that_never_end_are_left_at_their_limit",
            "answers_that_only_announce_others_end_with_the_deadline",
        ],
    ),
    (
        "time: answers that never come",
        HTTP,
        &[
            "headers_or_bodies_that_never_come_meet_the_deadline",
            "a_body_that_drips_meets_the_deadline",
            "when_the_time_of_the_run_is_over_whatever_waits_ends_and_nothing_more_is_asked",
            "a_connection_that_died_in_silence_is_given_up_and_not_every_request_on_it",
            "a_configuration_that_is_a_pipe_is_an_error_and_not_waited_for",
        ],
    ),
    (
        "one host's overload taken for another's",
        HTTP,
        &[
            "a_token_service_elsewhere_that_has_too_much_to_do_does_not_hold_up_the_registry",
            "further_attempts_at_a_token_service_elsewhere_are_not_paid_for_by_the_registry",
            "a_registry_that_only_fails_soon_gets_each_request_once",
        ],
    ),
    (
        "injection through what a registry says",
        E2E,
        &[
            "error_bodies_and_labels_do_no_harm",
            "what_acts_is_found_where_it_stands",
            "names_that_no_registry_may_list_are_refused_and_shown_escaped",
        ],
    ),
    (
        "formulas in a spreadsheet",
        "crates/report/src/plan/tests/csv.rs",
        &["formulas_quotes_and_line_breaks_in_names_stay_text_in_one_cell"],
    ),
    (
        "the admin API open to whoever comes by",
        "crates/lagan/src/admin/tests.rs",
        &[
            "looking_is_open_on_loopback_and_asking_takes_a_token_with_the_right",
            "on_an_address_that_others_reach_nothing_is_shown_without_a_token",
            "a_name_that_is_not_ours_is_misdirected_and_nothing_may_be_read_by_others",
            "what_is_too_much_too_slow_or_no_order_is_refused",
            "a_socket_is_private_a_stale_one_is_replaced_and_a_live_one_is_an_error",
        ],
    ),
    (
        "webhooks that anybody sends, and that are believed",
        "crates/lagan/src/admin/tests/hooks.rs",
        &[
            "who_has_the_secret_of_a_registry_tells_what_changed_there_and_nobody_else_does",
            "what_is_huge_slow_or_nothing_of_a_registry_is_refused_and_may_have_been_about_anything",
            "a_pass_looks_at_what_the_registry_told_of_and_at_all_when_that_is_due_again",
        ],
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
    (
        "fewer rights than were asked for",
        HTTP,
        &[
            "a_token_service_that_grants_less_than_was_asked_for_is_told_as_such_and_not_asked_in_a_loop",
            "an_opaque_token_that_was_granted_for_less_is_told_as_such",
        ],
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

/// Whether `text` has a test of this name that is run: a function with a `test` attribute, and no `ignore`.
fn is_run(text: &str, test: &str) -> bool {
    let lines: Vec<&str> = text.lines().map(str::trim_start).collect();
    let declares = |line: &str| {
        let line = line.strip_prefix("async ").unwrap_or(line);
        line.strip_prefix("fn ")
            .and_then(|line| line.strip_prefix(test))
            .is_some_and(|rest| rest.starts_with('('))
    };
    lines.iter().enumerate().any(|(at, line)| {
        let above = lines[..at].iter().rev();
        let attributes: Vec<_> = above
            .take_while(|line| line.starts_with("#[") || line.starts_with("//"))
            .filter(|line| line.starts_with("#["))
            .collect();
        declares(line)
            && attributes
                .iter()
                .any(|attribute| attribute.starts_with("#[test]") || attribute.starts_with("#[tokio::test"))
            && !attributes
                .iter()
                .any(|attribute| attribute.contains("ignore") || attribute.contains("cfg"))
    })
}

#[test]
fn a_test_that_is_not_run_is_none() {
    for (text, expected) in [
        ("#[test]\nfn a() {", true),
        (
            "/// Why.\n#[tokio::test(start_paused = true)]\n// How.\nasync fn a() {",
            true,
        ),
        ("fn a() {", false),
        ("#[test]\nfn ab() {", false),
        ("#[test]\n\nfn a() {", false),
        ("#[test]\n#[ignore]\nfn a() {", false),
        ("#[ignore = \"slow\"]\n#[test]\nfn a() {", false),
        ("#[test]\n#[cfg(never)]\nfn a() {", false),
        ("// #[test]\n// fn a() {", false),
    ] {
        assert_eq!(is_run(text, "a"), expected, "{text}");
    }
}

#[test]
fn every_trap_has_its_tests() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let mut missing = Vec::new();
    for (trap, place, tests) in TRAPS {
        let text = sources(&root.join(place));
        assert!(!tests.is_empty(), "{trap}");
        let not_run = tests.iter().filter(|test| !is_run(&text, test));
        missing.extend(not_run.map(|test| format!("{place}: {test} ({trap})")));
    }
    assert!(missing.is_empty(), "{missing:#?}");
}
