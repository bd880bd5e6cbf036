//! What fails with no code of its own: what does not run, what passes between a command and the daemon of its
//! stack, what the machine does not do. A command that was to run something says some of it with its own code.

use super::{FAILED, NO_HINT, Outcome};
use crate::cli::exit_code::Exit;

const fn failed(message: &'static str) -> Outcome {
    Outcome::new(&[Exit::Failed], message)
}

/// What does not run says so with the code of why.
const NOT_READY: &[Exit] = &[Exit::Failed, Exit::TimedOut, Exit::Refused, Exit::NotRun];

/// Both hints of a stack that is not as it should be.
const REST_RUNS: &[&str] = &[
    "the rest keeps running; `witwd ps` shows it, `witwd down` stops it",
    "what was started for it is stopped again; `witwd up -d` keeps it for a look",
];

/// What is told of a name that has no container.
const MADE_BY_UP: &str = "`witwd up -d {name}` makes and starts it";

/// A daemon that could not begin ends with the code of why, and who started it with that.
const BEGUN: &[Exit] = &[Exit::Failed, Exit::Usage, Exit::InvalidFile, Exit::NoEngine, Exit::Refused, Exit::NotRun];

/// Who was to take over may also have found another one.
const HANDED_OVER: &[Exit] =
    &[Exit::Failed, Exit::Usage, Exit::InvalidFile, Exit::NoEngine, Exit::Refused, Exit::Held, Exit::NotRun];

/// What is told beside everything where a unit of the system is to keep the stack.
const BY_UNIT: &str = "`sudo systemctl restart {unit}` starts its daemon";

const LAST_WORDS: &str = "`witwd logs witwd` shows what the daemon said last";

/// What is told of a runtime directory that can't be used.
const ANOTHER: &[&str] = &["WITWD_RUNTIME_DIR names another directory", BY_UNIT];

/// Of a stack: what does not run, what it can't be asked, what is asked of nobody.
pub(super) const STACK: &[Outcome] = &[
    // up, restart, start, scale, run
    Outcome::new(NOT_READY, "stack {stack} is not ready: {why}")
        .hints(REST_RUNS)
        .means("1: it ended or loops; 5: it takes too long; 6: going on could cost data; 125: a command was to be run beside it"),
    Outcome::new(NOT_READY, "stack {stack} runs, but not as stack.toml says: {why}")
        .hints(REST_RUNS)
        .means("all that is to run is ready; something else is left to do"),
    failed("the stack is not up").hints(&["`witwd up -d` starts it"]),
    failed("{name} is stopped by hand").hints(&["`witwd start {name}` starts it"]),
    // down
    failed("the daemon ended before all was removed").hints(&[NO_HINT, "`witwd down` again goes on where it ended"]),
    // build, pull
    Outcome::new(FAILED, "failed to build {name}: {why}").hints(&["what runs is untouched"]),
    Outcome::new(FAILED, "failed to pull {name}: {why}").hints(&["what runs is untouched"]),
    // port, open, exec, db
    Outcome::new(FAILED, "{name} of stack {stack} has no container").hints(&[MADE_BY_UP]),
    Outcome::new(FAILED, "{name} of stack {stack} does not run: {how}").hints(&[
        "`docker unpause {container}` lets it go on",
        "`witwd ps` shows what it waits for",
        "`witwd logs {name}` shows what it wrote, `witwd up -d {name}` starts it",
        "`witwd ps` shows how it goes on",
    ]),
    Outcome::new(FAILED, "{name} of stack {stack} is a server elsewhere (`url`): there is no container of it")
        .hints(&["use a program of this machine with that address"]),
    Outcome::new(FAILED, "{name} of stack {stack} is a job and has no container: {why}").hints(&["`witwd ps` shows what runs"]),
    failed("{name} of stack {stack} publishes {what} now")
        .hints(&["`ports = [\"auto:8000\"]` in stack.toml publishes one, while its container runs", "it publishes {ports}"]),
    failed("{who} publishes a port now")
        .hints(&["`ports = [\"8000\"]` in its [services] table publishes one; `witwd up -d` runs it"])
        .means("no service has an address that could be opened"),
    Outcome::new(FAILED, "{name} is a server elsewhere (`url`): its superuser is not witwd's to know")
        .hints(&["`witwd db url {name}` gives the address of the file"]),
    Outcome::new(FAILED, "the address of {name} can't be filled in: a password in it is not known")
        .means("a secret, which this version does not fill in, or a password that only the user who ran `witwd up` may read"),
    failed("the password of {user} in {name} is not known to this user")
        .hints(&["the user who ran `witwd up` may read it; `witwd psql` needs none"]),
    failed("{name} can't be reached from this machine: its port is not published, and this engine hides it")
        .hints(&["`ports = [\"auto:{port}\"]` in [postgres.{name}] publishes it; `witwd psql {name}` needs no port"]),
    // logs, events
    failed("there is no log of {whose}").hints(&["`witwd ps` shows what there is, `witwd up -d` starts it"]),
    failed("there is no run that is over of {whose}").hints(&["`witwd logs` shows the one that goes on"]),
    failed("there is no run of the daemon that is over").hints(&["`witwd logs witwd` shows the one that goes on"]),
    failed("no daemon runs for this stack: nothing more will happen").hints(&["`witwd up -d` starts one"]),
    // init
    failed("{path} is there already; nothing was changed")
        .hints(&["`witwd check` says what is wrong with it, `witwd init --print` shows what would be written"]),
    failed("failed to look into {directory}: {why}"),
    // top
    failed("the stack is taken down").means("`top` ends with the stack that it shows"),
    failed("failed to use the terminal: {why}"),
    failed("the terminal is gone"),
    // ls
    failed("failed to look: {why}"),
];

/// Between a command and a daemon, and in one that begins or hands over.
pub(super) const DAEMON: &[Outcome] = &[
    // No daemon answers.
    Outcome::new(FAILED, "no daemon runs for this stack").hints(&["`witwd up -d` starts one"]),
    Outcome::new(FAILED, "nobody listens on {socket}").hints(&["`witwd up -d` starts one"]),
    Outcome::new(FAILED, "{socket} is not for this user")
        .hints(&["run this as the user who ran `witwd up`, or as root", BY_UNIT]),
    Outcome::new(
        FAILED,
        "the daemon (process {pid}) is witwd {version}, which speaks version {number} of the protocol and not {number}",
    )
    .hints(&["`kill {pid}` ends that daemon and leaves the stack running; then `witwd up -d`", BY_UNIT]),
    Outcome::new(FAILED, "{socket} does not answer: {why}").hints(&[LAST_WORDS, BY_UNIT]),
    Outcome::new(FAILED, "failed to speak to the daemon: {why}").hints(&[LAST_WORDS]),
    Outcome::new(FAILED, "the daemon does not answer").hints(&[LAST_WORDS]),
    Outcome::new(FAILED, "the daemon's answer makes no sense: {why}").hints(&[LAST_WORDS]),
    Outcome::new(FAILED, "the daemon answered {status}").means("it refused, and not in words of witwd"),
    // One answers, but does not do it.
    Outcome::new(FAILED, "the daemon is ending").means("say it again: the next one is asked then"),
    Outcome::new(FAILED, "{count} requests wait for this daemon already").hints(&["say it again in a moment"]),
    failed("the daemon (process {pid}) runs nothing yet").hints(&["`witwd up -d` starts the stack"]),
    Outcome::new(&[Exit::TimedOut, Exit::NotRun], "the daemon did not look at the engine in time")
        .hints(&["`witwd doctor` looks for the reason"]),
    Outcome::new(&[Exit::TimedOut], "it is not down yet; the daemon goes on with it"),
    Outcome::new(FAILED, "the daemon ended before it was done").hints(&["`witwd logs witwd` shows why"]),
    failed("the daemon ended before all was ready").hints(&["`witwd logs witwd` shows why"]),
    failed("the daemon ended").hints(&["`witwd up -d` starts one"]),
    // One can't begin.
    Outcome::new(BEGUN, "the daemon ended at once").hints(&[LAST_WORDS]),
    Outcome::new(BEGUN, "the daemon ended at once:\n{log}").means("the lines of its log say why"),
    Outcome::new(FAILED, "the daemon did not open its socket in time").hints(&["see {path}"]),
    Outcome::new(FAILED, "failed to start the daemon: {why}"),
    Outcome::new(FAILED, "failed to find this program: {why}"),
    failed("failed to open {path}: {why}").means("the control socket of a daemon"),
    failed("the control socket was taken"),
    failed("failed to lock {path}: {why}"),
    failed("failed to go on: {why}"),
    failed("the daemon broke: {why}").means("a bug in witwd; what runs goes on running"),
    // One hands over.
    Outcome::new(HANDED_OVER, "witwd {version} could not take the stack over: {why}").hints(&[
        "witwd {version} was started again and keeps the stack; mend this and say `witwd up` again",
        "what runs goes on running, but nobody restarts what ends: `witwd up -d` of witwd {version} keeps it again",
    ]),
    Outcome::new(FAILED, "the state was written by a later witwd (version {number} of it)")
        .means("use that version; what runs is untouched"),
    failed("asked to end before it went on with the stack"),
    Outcome::new(FAILED, "failed to look at the lock: {why}"),
    Outcome::new(FAILED, "failed to end process {pid}: {why}"),
    // A saved file: `ps` shows these.
    failed("what was accepted last is gone"),
    Outcome::new(FAILED, "failed to read the file: {why}"),
    failed("failed to ask: {why}"),
    failed("failed to apply the file: {why}"),
    failed("failed to tell of the file: {why}"),
    failed("failed to look ahead: {why}"),
];

/// Of the machine: files, directories, the terminal, systemd.
pub(super) const MACHINE: &[Outcome] = &[
    failed("failed to start: {why}").means("the machine gives no thread"),
    Outcome::new(FAILED, "failed to find the working directory: {why}"),
    Outcome::new(FAILED, "failed to listen for signals: {why}"),
    failed("failed to listen for Ctrl-C: {why}"),
    failed("failed to write the output: {why}"),
    failed("failed to write JSON: {why}"),
    failed("failed to read the daemon's log: {why}"),
    Outcome::new(FAILED, "failed to look at {path}: {why}").hints(&[NO_HINT, BY_UNIT]),
    Outcome::new(FAILED, "failed to read {path}: {why}").hints(&[
        NO_HINT,
        BY_UNIT,
        "mend it, or move it aside: without it, `init` looks at the rest of the directory",
    ]),
    Outcome::new(FAILED, "failed to write {path}: {why}"),
    Outcome::new(FAILED, "failed to list {directory}: {why}"),
    Outcome::new(FAILED, "failed to remove {path}: {why}"),
    Outcome::new(FAILED, "failed to rename {path}: {why}"),
    Outcome::new(FAILED, "failed to make directory {path}: {why}"),
    // The runtime directory
    Outcome::new(FAILED, "failed to make {directory}: {why}").hints(ANOTHER),
    Outcome::new(FAILED, "{directory} {what}: it is not used for secrets and the control socket").hints(ANOTHER),
    Outcome::new(FAILED, "{directory} is too long for the path of a socket").hints(ANOTHER),
    Outcome::new(FAILED, "failed to open the control socket to the group {group}: {why}")
        .hints(&["run the daemon as root, or as a member of the group: only they may give it away"]),
    // enable, disable
    failed("this stack was never up here: a boot would not know what to run it with")
        .hints(&["`witwd up -d`, then `witwd enable`"]),
    failed("systemd does not run this machine: there is nothing to give a unit to")
        .hints(&["`witwd enable --print` shows the unit; have what starts this machine run its command, or `witwd up -d`"]),
    failed("this version does not speak to launchd itself")
        .hints(&["`witwd enable --print > {path}`, then `launchctl load {path}`"]),
    failed("neither HOME nor XDG_CONFIG_HOME says where units of yours lie").means("set one of them"),
    failed("{unit} is a unit of {whose}").hints(&["`sudo witwd disable`", "`witwd disable` without root"]),
    Outcome::new(FAILED, "`{command}` failed: {why}").hints(&[
        NO_HINT,
        "your own systemd is reached from a login as yourself, not from `su`; `sudo witwd enable` makes a unit of the system",
        "`{systemctl} status {unit}` shows why",
    ]),
    failed("{path} can't stand in the file of a service manager")
        .hints(&["a path of letters, digits, spaces and common signs can"]),
    failed("{path} can't stand in a unit of systemd: it has both kinds of quotes").hints(&["rename the directory"]),
    failed("systemd starts no program named {path}").hints(&["`sudo install` it into /usr/local/bin and run that one"]),
];
