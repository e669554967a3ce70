//! The steps, in their order.

mod access;
mod adopting;
mod api;
mod attack;
mod bad_packages;
mod bad_places;
mod browser;
mod causes;
mod command_line;
mod contract_actions;
mod contract_callbacks;
mod contract_files;
mod contract_life;
mod contract_network;
mod contract_old_sdk;
mod daemons;
mod document;
mod grown_back;
mod hello;
mod hogs;
mod interruption;
mod keeping;
mod lasting;
mod miniflux;
mod names;
mod reading_room;
mod real_packages;
mod receipts;
mod regrowth;
mod removal;
mod sleeping;
mod startos;
mod survival;
mod syncthing;
mod tiddlywiki;
mod updates;
mod upgrading;

use coppice_clock::Mono;

use crate::{
    arguments::Arguments,
    report::{Counts, Verdict, attempt},
    world::World,
};

type Step = fn(&mut World);

/// Steps that build on each other.
struct Chapter {
    name: &'static str,
    /// Makes what the steps need; does nothing where the chapters before have made it.
    prepare: Step,
    steps: &'static [(&'static str, Step)],
}

macro_rules! chapters {
    ($($chapter:ident { $($step:ident,)* })*) => {
        const CHAPTERS: &[Chapter] = &[$(Chapter {
            name: stringify!($chapter),
            prepare: $chapter::prepare,
            steps: &[$((stringify!($step), $chapter::$step)),*],
        }),*];
    };
}

chapters! {
    browser {
        everything_is_done_in_chromium_without_a_command_line,
    }
    hello {
        a_package_file_is_installed_through_the_command_line,
        a_started_service_becomes_healthy,
        its_page_is_served_over_https_by_its_own_name,
        plain_http_explains_offers_the_certificate_and_then_redirects,
        an_action_with_input_changes_the_setting_and_restarts_the_daemon,
        an_action_refuses_input_that_its_form_forbids,
        a_service_is_stopped_and_started_again,
        the_command_line_tells_of_services_in_words_and_in_json,
        its_logs_are_shown_and_followed,
        the_tree_shows_the_actors_of_the_service,
        the_document_is_dumped_whole_or_in_part,
    }
    names {
        the_servers_own_name_server_knows_the_services,
        avahi_on_another_machine_finds_the_services,
        an_unknown_name_gets_no_page_and_no_certificate,
    }
    api {
        a_wrong_password_opens_nothing,
        of_passwords_tried_at_once_from_one_machine_one_is_looked_at,
        a_login_gives_a_cookie_that_scripts_and_other_sites_cannot_use,
        without_a_session_nothing_is_told,
        a_session_cannot_do_what_is_for_root_or_for_another_origin,
        the_document_streams_a_dump_and_then_what_changes,
        an_ended_session_ends_its_streams,
        a_password_that_root_sets_ends_streams_and_tickets_of_browsers,
        who_asked_for_what_is_on_record_and_for_root_alone,
        packages_are_listed_and_measured_in_the_shapes_of_startos,
        mail_settings_reach_the_package_that_asked_and_their_password_nobody_else,
        a_test_mail_that_nobody_takes_is_refused_with_the_reason,
        notifications_are_told_listed_marked_and_removed,
        what_the_server_and_the_kernel_wrote_is_read_and_followed,
        the_dashboard_is_served_under_its_own_policy,
        the_edge_has_no_privileges,
    }
    access {
        no_method_is_open_to_who_shows_what_opens_nothing,
        a_token_does_what_its_scope_says_until_it_is_revoked,
        pages_of_other_addresses_open_no_stream_and_send_nothing,
        a_signed_request_is_answered_once_also_by_the_next_core,
        two_step_login_holds_and_no_secret_is_written_down_anywhere,
    }
    command_line {
        another_machine_has_to_sign_in_first,
        a_package_is_sent_from_there,
        top_and_metrics_tell_what_is_used,
        a_long_answer_is_squeezed_on_its_way_to_a_browser,
        what_is_watched_is_printed_again_when_it_changes,
        a_session_that_was_ended_there_opens_nothing_any_more,
    }
    miniflux {
        a_critical_task_keeps_it_from_starting,
        running_its_action_makes_way,
        both_daemons_become_healthy,
        its_pages_are_reached_and_its_account_can_log_in,
        a_killed_database_comes_back_and_so_does_the_page,
    }
    syncthing {
        a_package_is_uploaded_over_https_with_progress,
        its_web_interface_knows_its_first_login,
        its_other_port_is_open_to_other_machines,
    }
    tiddlywiki {
        nobody_reads_it_without_the_login,
        an_action_changes_the_login_and_its_page_answers,
        a_note_outlives_a_restart_of_the_wiki,
    }
    reading_room {
        it_asks_for_something_to_show_in_the_other_service,
        what_is_published_there_is_read_here_without_a_login,
        while_the_other_is_stopped_it_goes_on_and_says_so,
        a_start_without_the_other_is_held_until_that_is_well,
        uninstalling_both_leaves_no_trace,
    }
    regrowth {
        a_killed_daemon_has_a_successor_within_100_ms,
        its_restart_record_names_the_signal,
        a_killed_runtime_comes_back_under_its_living_neighbours,
        a_killed_pid_1_brings_a_new_container,
        a_killed_monitor_brings_a_new_container,
        a_runtime_that_cannot_be_kept_up_gets_a_new_container,
    }
    daemons {
        declared_daemons_run_and_are_shown_with_what_they_use,
        a_killed_daemon_is_back_at_once_and_its_record_names_the_signal,
        a_killed_daemon_in_an_image_is_back_too,
        they_outlive_the_node_runtime,
        they_outlive_the_core_and_one_that_died_meanwhile_is_started_again,
        a_stop_ends_them_all_the_stubborn_by_force_and_a_start_brings_them_back,
        limits_are_applied_to_what_runs_and_outlive_the_core,
        limits_that_make_no_sense_are_refused,
    }
    updates {
        a_version_whose_migration_throws_goes_back,
        a_version_that_does_not_start_goes_back,
        a_version_that_dies_when_it_is_up_goes_back,
        a_version_that_is_well_and_then_fails_its_check_goes_back,
        an_update_in_which_the_core_is_killed_goes_back,
        an_update_that_is_stopped_goes_back_and_rests,
        a_good_version_stays_and_has_the_data,
    }
    sleeping {
        what_is_all_data_falls_asleep_and_its_page_goes_on,
        an_action_wakes_it_and_nothing_else_changes,
        a_core_that_is_killed_finds_it_asleep_and_does_not_wake_it,
        a_core_that_is_killed_while_it_wakes_or_falls_asleep_loses_nothing,
        a_setting_that_is_changed_while_it_sleeps_is_obeyed,
        one_that_cannot_wake_says_why_and_its_page_goes_on,
        a_daemon_that_dies_meanwhile_is_started_again_without_it,
        what_it_waits_to_be_told_of_wakes_it_also_after_the_death_of_a_core,
        it_is_stopped_and_started_like_any_other,
        it_is_updated_like_any_other,
        it_is_uninstalled_like_any_other,
    }
    real_packages {
        a_critical_task_of_the_packages_own_blocks_its_start_until_it_is_done,
        a_critical_task_on_another_service_stops_it_whenever_that_one_is_otherwise,
        actions_read_and_write_what_the_daemons_keep,
        every_way_in_leads_where_the_package_says,
        a_setting_disturbs_the_daemons_that_it_concerns_and_no_others,
        a_good_update_migrates_what_each_of_them_keeps,
        a_bad_update_goes_back_whole_and_says_why,
        the_version_before_gets_data_that_the_later_one_has_turned_back,
        a_backup_is_restored_by_an_init_of_that_kind,
        a_soft_uninstall_keeps_the_data_for_the_next_install_and_a_hard_one_nothing,
    }
    hogs {
        a_fork_bomb_disturbs_nobody,
        a_memory_hog_disturbs_nobody,
        a_cpu_hog_disturbs_nobody,
    }
    survival {
        the_core_is_killed_and_nothing_of_the_services_notices,
        a_download_of_100_mb_survives_the_death_of_the_core,
        status_is_right_after_the_death_of_the_core,
        the_edge_is_killed_and_no_connection_is_refused,
        the_heart_is_killed_and_a_new_one_finds_the_services_alive,
        ctrl_c_ends_coppice_and_not_the_services,
    }
    adopting {
        a_new_core_knows_every_process_of_every_service_again,
    }
    lasting {
        a_websocket_and_a_download_outlive_one_core_after_the_other,
        an_edge_that_dies_while_there_is_no_core_is_replaced_within_300_ms,
    }
    upgrading {
        an_upgrade_fails_no_request_and_cuts_no_download,
        a_program_that_is_none_is_refused_before_anything_is_touched,
        a_core_that_cannot_work_is_undone_with_its_store,
        an_upgrade_is_refused_while_a_package_is_installed,
    }
    receipts {
        a_start_after_a_kill_has_a_receipt_that_nothing_was_left,
        leftovers_of_every_kind_are_found_removed_and_listed,
        a_firewall_that_cannot_be_changed_is_a_notice_and_no_reason_to_end,
    }
    interruption {
        an_install_that_the_core_died_in_is_undone,
        an_uninstall_that_the_core_died_in_is_finished,
    }
    keeping {
        a_soft_uninstall_keeps_the_volumes_and_nothing_else,
        a_reinstall_whose_init_fails_leaves_the_kept_data,
        a_reinstall_that_the_core_died_in_leaves_the_kept_data,
        a_good_reinstall_finds_the_data_and_a_hard_uninstall_removes_it,
        an_uninstall_whose_uninit_fails_puts_the_service_back_as_it_was,
    }
    document {
        another_json_patch_library_follows_an_install_and_three_lost_connections,
        root_reads_who_changed_what_and_why,
        root_checks_and_compacts_the_store,
        nothing_private_reaches_anyone_who_signed_in,
        a_store_that_was_damaged_is_put_back_and_that_is_said,
    }
    bad_packages {
        truncated_files_are_refused_and_leave_nothing,
        altered_files_are_refused_and_leave_nothing,
        oversize_files_are_refused_and_leave_nothing,
        packages_that_are_not_for_here_are_refused_and_leave_nothing,
        a_package_that_cannot_be_set_up_is_rolled_back,
    }
    bad_places {
        a_full_disk_is_named_and_leaves_nothing,
        an_upload_to_a_full_disk_says_so_and_leaves_nothing,
        a_port_in_use_is_named_by_a_second_server_that_runs_beside,
        a_data_folder_in_use_is_refused,
        a_data_folder_of_somebody_else_is_refused,
        a_missing_kernel_feature_is_named,
    }
    causes {
        a_daemon_that_runs_out_of_memory_is_named,
        what_fails_while_its_dependency_is_down_is_held_until_that_is_well,
        a_stop_lets_go_of_what_is_held,
        what_fails_on_a_full_disk_is_held_until_there_is_room,
    }
    contract_life {
        the_runtime_speaks_the_servers_language_and_writes_to_pipes,
        nothing_above_the_bundle_says_that_it_is_no_commonjs,
        a_rejection_that_nobody_handles_is_logged_and_the_service_goes_on,
        a_package_that_exits_is_started_again_and_its_record_says_how_it_ended,
        started_is_set_when_build_has_resolved_and_cleared_by_a_stop,
        a_restart_that_is_asked_for_during_a_start_is_not_lost,
        ten_restarts_in_a_burst_end_with_a_running_service_and_no_error,
        init_is_told_null_when_the_container_is_made_anew_and_runs_before_main,
        shutdown_stops_the_service_that_asks_for_it,
    }
    contract_files {
        create_fs_gives_a_path_and_a_guid_and_a_writable_root_with_names,
        destroy_fs_kills_stragglers_leaves_no_mount_and_may_be_repeated,
        a_file_is_mounted_as_a_file_and_an_idmap_changes_who_owns_it,
        files_of_a_user_in_a_subcontainer_are_that_users_on_the_hosts_volume,
        a_dependencys_volume_is_mounted_as_it_is_asked_for,
        a_mount_that_leads_out_or_to_a_stranger_is_refused,
        a_data_version_is_durable_before_it_is_answered_and_null_deletes_it,
        progress_outside_an_operation_is_taken_and_dropped,
    }
    contract_callbacks {
        what_is_read_of_a_package_that_is_not_there_is_null_and_fires_when_it_appears,
        a_callback_fires_once_and_after_the_next_reading_once_more,
        what_changes_elsewhere_or_not_at_all_fires_nothing,
        cleared_callbacks_do_not_fire,
        another_packages_address_fires_when_its_container_is_made_anew,
        a_change_between_the_reading_and_its_answer_is_not_lost,
        a_package_that_goes_fires_once_more,
    }
    contract_actions {
        a_form_and_its_submission_share_an_event_and_effects_do_both_in_one,
        what_an_action_allows_is_enforced,
        what_other_packages_may_run_is_enforced,
        two_actions_at_once_run_one_after_the_other_and_a_form_beside_them,
        a_critical_task_stops_the_service_and_blocks_its_start_until_the_action_ran,
        a_task_with_a_condition_follows_its_targets_input,
        a_task_on_a_package_that_is_not_there_is_active_until_that_one_is_installed,
        clearing_actions_removes_those_that_are_not_listed_and_no_task,
        dependencies_are_told_of_as_they_are_and_block_no_start,
        a_notification_is_the_packages_own_and_its_data_may_be_missing,
    }
    contract_network {
        an_interface_needs_its_binding_and_a_binding_takes_fields_it_does_not_know,
        a_binding_tells_the_addresses_that_packages_look_for,
        cleared_bindings_are_off_and_come_back_on_their_ports,
        a_range_is_had_whole_or_not_at_all,
        a_range_leads_other_machines_to_its_ports_once_it_has_an_interface,
        a_certificate_is_a_chain_of_three_and_its_key_is_for_its_owner,
        only_a_plugin_gives_addresses_and_only_to_what_is_bound,
        a_plugin_reaches_the_ports_it_gave_addresses_to_and_no_others,
        a_plugins_address_survives_a_change_of_gateways_and_goes_with_the_plugin,
    }
    contract_old_sdk {
        a_bundle_with_a_second_file_is_initialised_and_its_page_is_served,
        the_one_value_of_its_task_is_what_is_accepted_and_what_is_filled_in,
        interfaces_are_read_by_their_id_and_a_change_of_one_is_told,
        it_may_say_itself_whether_it_runs,
    }
    attack {
        the_hosts_own_root_gets_through_with_every_attempt,
        the_packages_root_gets_through_with_none_in_its_container,
        the_packages_root_gets_through_with_none_in_a_subcontainer,
        packets_with_others_addresses_arrive_nowhere,
        the_bridge_learns_nothing_from_a_service,
        what_lies_in_its_log_folder_leads_nowhere,
        a_mount_is_never_of_what_was_swapped_in,
        files_for_root_on_a_volume_are_nobodys_on_the_host,
        nonsense_on_the_hosts_socket_costs_nobody_anything,
        a_service_that_takes_its_own_runtimes_place_is_not_stuck,
        a_service_that_takes_all_watches_leaves_some_for_others,
        a_restart_of_the_machine_is_one_of_the_service,
    }
    grown_back {
        whatever_is_killed_at_whatever_moment_grows_back,
    }
    removal {
        secrets_are_neither_in_the_log_nor_in_the_document,
        a_stop_takes_the_services_down_and_a_start_brings_them_back,
        uninstalling_syncthing_leaves_no_trace,
        uninstalling_miniflux_leaves_no_trace,
        uninstalling_hello_leaves_no_trace,
        what_is_not_installed_cannot_be_asked_for,
        coppice_stop_ends_everything,
    }
}

fn full_name(chapter: &Chapter, step: &str) -> String {
    format!("{}::{step}", chapter.name)
}

/// The names of all steps.
pub(crate) fn names() -> Vec<String> {
    let of_chapter = |chapter: &'static Chapter| {
        chapter
            .steps
            .iter()
            .map(|(step, _)| full_name(chapter, step))
    };
    CHAPTERS.iter().flat_map(of_chapter).collect()
}

/// Runs what is chosen, with what goes before it in its chapter. Also tells whether that was all.
pub(crate) fn run(world: &mut World, arguments: &Arguments) -> (Counts, bool) {
    let planned: Vec<(&Chapter, &[(&str, Step)])> = CHAPTERS
        .iter()
        .filter_map(|chapter| {
            let last = chapter
                .steps
                .iter()
                .rposition(|(step, _)| arguments.choose(&full_name(chapter, step)))?;
            Some((chapter, &chapter.steps[..=last]))
        })
        .collect();
    let count: usize = planned.iter().map(|(_, steps)| steps.len()).sum();
    println!("\nrunning {count} steps");
    let mut counts = Counts::default();
    for (chapter, steps) in planned {
        let began = Mono::now();
        if let Verdict::Failed(why) = attempt(|| (chapter.prepare)(world)) {
            let verdict = Verdict::Failed(format!("it could not be prepared: {why}"));
            for (step, _) in steps {
                counts.tell(arguments, &full_name(chapter, step), began, &verdict);
            }
            continue;
        }
        for (step, run) in steps {
            let (began, offset) = (Mono::now(), world.server.log_length());
            let mut verdict = attempt(|| run(world));
            if let Verdict::Failed(why) = &mut verdict {
                *why = format!(
                    "{why}\n\nThe server's log meanwhile:\n{}",
                    world.server.log_from(offset)
                );
            }
            counts.tell(arguments, &full_name(chapter, step), began, &verdict);
        }
    }
    (counts, count == names().len())
}
