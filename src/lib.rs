//! # witwd
//!
//! One small binary, a daemon and its command line. It reads one `stack.toml` and keeps what the
//! file says running on one machine through the Docker Engine API.
//!
//! ## Shape: observe -> plan (pure) -> apply (no decisions)
//!
//! Every pass looks at the world and derives what is safe to do *now*, what is blocked and why, and
//! when to look again. No plan is stored. What is under way is an input of the planner, so nothing
//! is planned twice; a kill between any two actions is healed by the next pass.
//!
//! ## Modules
//!
//! | module | responsibility | may use |
//! |---|---|---|
//! | [`model`] | shared vocabulary and its invariants | nothing of this crate |
//! | [`config`] | text -> `Stack`: every problem at once, with its place and a hint; JSON schema | model |
//! | [`host`] | the machine under the daemon: `Clock`, `Disk`, `Rng` and their simulated twins | model |
//! | [`plan`] | desired x observed x history x health x in flight x now -> `Plan` | model |
//! | [`engine`] | `trait Engine`, `docker` (the only place that names bollard), `sim`, labels | model, host |
//! | [`health`] | `trait Prober`, probe I/O; pure hysteresis | model, engine, host, postgres: what a server answers to a probe |
//! | [`postgres`] | readiness, databases, roles, extensions, `init`; `backup`: sets, their proof, when and how long, and their restore | model, engine, host |
//! | [`supervisor`] | the loop; `apply` is one `match` without decisions; `preview` is the same loop on the simulator | all above |
//! | [`control`] | the Unix socket: protocol, server, client | model, host: the events on disk; the server also the supervisor's handle |
//! | [`cli`] | a file per verb: parse, call, render; exit codes | all above |
//!
//! `plan` does not know `engine` and `engine` does not know `plan`: `supervisor::apply` is the only
//! bridge.
//!
//! ## What the loop stands on
//!
//! * One action is one primitive (create, start, stop, ...). A recreate is several, over several passes.
//! * Actions run at the same time and never block the loop; what is under way is an input of the plan.
//! * Events only wake. What is true is a list by label.
//! * Identity is labels. Verdicts and counters belong to a *run*: a container and when it was started.
//! * The hash of a container is over what the user wrote, without defaults, under a scheme number.
//! * Three kinds of time: the planner's is monotonic, ages are wall clock, probes have their own timers.
//! * One daemon holds a stack, by a lock on its `.witwd`; containers run with the engine's policy `no`.
//!
//! ## Invariants
//!
//! Each is kept by tests; these names are looked for in them.
//!
//! | invariant | kept by |
//! |---|---|
//! | model, plan and the reading of values know no clock, disk, task or random source | `what_is_pure_knows_no_world` |
//! | bollard is named by the adapter alone, labels in one place | `only_the_adapter_names_bollard`, `labels_are_spelled_in_one_place` |
//! | the order of what was seen does not matter | `the_order_of_what_was_seen_does_not_matter` |
//! | from any world the loop comes to an empty plan and stays there | `from_any_world_the_loop_comes_to_rest` |
//! | no action removes a volume that no user named | `a_plan_has_one_action_a_target_and_never_removes_a_volume` |
//! | a set is whole, read back and synced before it has a name | `a_daemon_that_is_killed_while_it_takes_a_set_leaves_none_and_the_next_one_is_good` |
//! | a set goes only by a rule, and never the last good one | `old_sets_go_by_the_rules_and_pinned_ones_stay`, `the_newest_stays_and_with_it_the_last`, `nothing_goes_that_does_not_count` |
//! | a restore ends with all of the old or all of the new | `a_daemon_that_is_killed_at_any_step_leaves_all_of_the_old_or_all_of_the_new`, `an_app_that_does_not_come_up_with_the_restored_data_gets_its_own_back` |
//! | a snapshot is whole or not there | `a_daemon_that_is_killed_while_it_saves_leaves_no_half_snapshot` |
//! | a damaged set comes nowhere near what is used | `a_damaged_set_never_gets_near_the_live_database` |
//! | a set is taken before what could lose data | `a_set_is_taken_before_another_image_and_before_data_goes_and_without_one_nothing_goes` |
//! | nothing runs twice | `from_any_world_the_loop_comes_to_rest` |
//! | what is not ours is never changed | `what_is_not_ours_is_never_touched` |
//! | a daemon may be killed between any two steps and at any write | `a_kill_after_any_call_of_an_up_changes_nothing_in_the_end`, `a_kill_at_any_write_of_an_up_changes_nothing_in_the_end` |
//! | a broken file changes nothing | `a_broken_file_changes_nothing_and_says_where` |
//! | a probe that could not be made is no verdict | `what_could_not_be_asked_changes_nothing` |
//! | secrets are where they are allowed and nowhere else | `secrets_are_where_they_are_allowed_and_nowhere_else` |
//! | what is shown was what is done | `what_a_preview_shows_is_what_up_does` |
//! | a command ends as the list of `cli::outcomes` says | `an_outcome_outside_the_list_fails_the_test_that_meets_it`, `what_a_source_says_of_a_failure_is_in_the_list` |

pub mod cli;
pub mod config;
pub mod control;
pub mod engine;
pub mod health;
pub mod host;
pub mod model;
pub mod plan;
pub mod postgres;
pub mod supervisor;
