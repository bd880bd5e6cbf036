//! The contract of [`super::Engine`]: what every engine must do, as assertions that run on the
//! simulated one and on a real one alike, so that the fake can't drift.
//!
//! Entry point: [`ASSERTIONS`], each checked with [`Bench::check`]. What the containers do is given
//! by the command words of the tiny image, whose entrypoint is `/tiny` (`images/tiny`): `serve`,
//! `sleep`, `exit`, `echo`, `lines`, `stdin`, `cat`, and the options of those that wait.

mod bench;
mod containers;
mod ends;
mod images;
mod inside;
mod objects;

use futures_util::future::BoxFuture;

pub use bench::{Bench, Broken, Claim, Hand};

/// An assertion.
pub type Check = for<'a> fn(&'a Bench) -> BoxFuture<'a, Claim>;

macro_rules! assertions {
    ($($module:ident: $($name:ident),+;)+) => {
        &[$($((stringify!($name), |bench| Box::pin($module::$name(bench)))),+),+]
    };
}

/// Every assertion with what it claims.
pub const ASSERTIONS: &[(&str, Check)] = assertions! {
    containers:
        starting_a_running_container_is_fine,
        a_second_start_keeps_the_run,
        starting_a_missing_container_is_not_found,
        an_ended_container_can_be_started_again,
        removing_a_missing_container_is_fine,
        removing_a_running_container_is_a_conflict,
        removing_a_paused_container_is_a_conflict,
        a_removed_container_is_not_listed,
        a_removed_container_can_be_removed_again,
        many_removals_at_once_are_refused_as_in_progress_or_done,
        a_taken_name_is_a_conflict,
        a_foreign_container_takes_a_name_too,
        a_name_is_free_after_a_removal,
        creating_with_a_missing_image_is_not_found,
        an_image_can_be_named_by_its_id,
        renaming_to_a_taken_name_is_a_conflict,
        renaming_keeps_the_run,
        renaming_a_missing_container_is_not_found,
        observe_shows_created_then_running_then_exited,
        started_at_changes_with_each_run,
        an_end_keeps_the_start_of_its_run,
        a_paused_container_is_seen_paused,
        only_what_runs_or_is_paused_is_up,
        a_missing_container_is_not_up,
        starting_a_paused_container_is_a_conflict,
        labels_come_back_as_identity,
        what_a_container_was_made_with_comes_back,
        foreign_containers_are_listed_without_identity,
        two_containers_of_one_replica_are_both_listed,
        observe_is_sorted;
    ends:
        exit_codes_are_seen,
        a_late_exit_is_seen,
        a_killed_container_shows_137,
        a_stop_that_is_honoured_ends_early,
        a_stop_that_is_ignored_ends_after_its_grace_with_137,
        a_stop_without_grace_kills,
        a_stop_returns_when_it_is_over,
        stopping_a_stopped_container_is_fine,
        stop_of_created_is_fine,
        stopping_a_missing_container_is_fine,
        a_paused_container_can_be_stopped,
        wait_before_start_sees_the_exit_code,
        wait_of_an_ended_container_sees_its_next_run,
        wait_of_a_running_container_sees_its_end,
        wait_sees_a_kill,
        waiting_for_a_missing_container_is_not_found;
    inside:
        logs_are_lines_in_order,
        the_tail_of_a_log_is_its_last_lines,
        lines_of_a_log_have_a_time_and_a_stream,
        followed_logs_end_with_the_container,
        the_log_of_a_missing_container_is_not_found,
        a_log_spans_the_runs_of_a_container,
        exec_returns_the_exit_code,
        exec_returns_what_was_written,
        exec_reads_what_it_is_given,
        exec_in_a_stopped_container_fails,
        exec_in_a_created_container_fails,
        exec_in_a_paused_container_fails,
        exec_in_a_missing_container_is_not_found,
        an_exec_that_takes_too_long_times_out,
        put_files_into_a_created_container,
        files_in_a_volume_outlive_the_container,
        putting_files_into_a_missing_container_is_not_found,
        files_of_a_created_container_are_read,
        reading_a_file_of_a_missing_container_is_not_found;
    images:
        images_that_are_asked_for_are_seen,
        an_image_says_what_it_is,
        a_missing_image_is_not_found,
        a_registry_that_does_not_answer_is_unreachable,
        a_built_image_is_here_under_its_tag_with_its_labels;
    objects:
        the_engine_says_what_it_is,
        network_of_the_same_name_is_a_conflict,
        removing_a_missing_network_is_fine,
        networks_show_their_owner,
        a_removed_network_is_gone,
        a_container_shows_its_networks,
        a_container_shows_its_names_on_a_network,
        a_disconnected_container_is_on_no_network,
        what_foreign_hands_disconnect_is_seen,
        disconnecting_what_is_not_connected_is_fine,
        a_connected_container_has_its_names_and_keeps_its_run,
        connecting_a_running_container_twice_is_a_conflict,
        connecting_a_missing_container_is_not_found,
        connecting_to_a_missing_network_does_not_blame_the_container,
        starting_on_a_missing_network_does_not_blame_the_container,
        volume_create_is_idempotent_for_ours,
        a_foreign_volume_of_that_name_is_a_conflict,
        a_volume_of_another_instance_is_a_conflict,
        a_container_is_not_made_on_a_missing_volume,
        a_volume_in_use_cannot_be_removed,
        a_volume_of_a_stopped_container_is_in_use,
        a_volume_stays_when_its_container_goes,
        removing_a_missing_volume_is_fine,
        volumes_show_their_owner,
        foreign_volumes_that_are_asked_for_are_seen_without_owner,
        published_ports_are_seen_while_running,
        a_chosen_port_is_the_one_that_is_given,
        a_taken_port_fails_the_start_not_the_create,
        a_start_works_once_the_port_is_free,
        a_running_container_is_reached,
        a_stopped_container_is_not_reached,
        events_of_one_container_come_in_order,
        events_of_other_stacks_are_not_ours;
};
