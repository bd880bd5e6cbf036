//! Tests against the container engine of this machine. They fail where it does not answer.
//!
//! Each test has a stack name and a label of its own and takes away what it made, and nothing else.

#![expect(clippy::unwrap_used, reason = "a test that can't go on has failed")]

mod adopted;
mod apps_fall;
mod auto_port;
mod backup_faults;
mod backups;
mod backups_killed;
mod boot;
mod browser;
mod build;
mod by_hand;
mod canary;
mod clock_jumps;
mod connect;
mod contract;
mod create;
mod daemon_killed;
mod daemon_stopped;
mod data_lost;
mod demo;
mod engine;
mod engine_dies;
mod everyday;
mod exec_probes;
mod faults;
mod hidden;
mod images;
mod killed_writing;
mod levels;
mod live;
mod logs;
mod lost_state;
mod namespaces;
#[expect(dead_code, reason = "shared with the chaos program, which asks for more")]
mod oracles;
mod plan;
mod podman;
mod postgres;
mod postgres_data;
mod postgres_ends;
mod postgres_image;
mod postgres_tls;
#[expect(dead_code, reason = "shared with the chaos program, which asks for more")]
mod private;
mod probes;
mod proxy;
mod psql;
mod reboot;
#[expect(dead_code, reason = "shared with the benchmarks, which replay what was sent")]
mod recorder;
mod refusals;
mod registry;
mod restore;
mod restore_file;
mod run;
mod saves;
mod snapshots;
mod stack;
mod streams;
mod support;
mod systemd;
mod taking_over;
mod terminal;
mod up;
mod up_words;
mod volumes;
mod without_daemon;
