//! Which process listens on a port of this machine, as far as `/proc` shows it to us: of foreign
//! users only to root.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

/// The state of a TCP socket that listens, as the kernel prints it.
const LISTENS: &str = "0A";

/// Who listens on a TCP port, in words for a message.
pub fn describe(address: SocketAddr) -> String {
    match process(address) {
        Some((pid, name)) => format!("process {name} (pid {pid})"),
        None => "a process of this machine that is not shown to us (as root: `ss -ltnp`)".to_owned(),
    }
}

/// The process that listens on a TCP port, or on that port of every address: its id and its name.
pub fn process(address: SocketAddr) -> Option<(u32, String)> {
    let tables = ["/proc/net/tcp", "/proc/net/tcp6"].map(|path| std::fs::read_to_string(path).unwrap_or_default());
    let socket = tables.iter().flat_map(|table| table.lines()).find_map(|line| socket(line, address))?;
    processes().find(|pid| holds(*pid, &socket)).map(|pid| (pid, name(pid)))
}

/// What a file descriptor of the socket in this line of the table is a link to, if it listens there.
fn socket(line: &str, address: SocketAddr) -> Option<String> {
    let fields: Vec<&str> = line.split_whitespace().collect();
    let (local, state, inode) = (fields.get(1)?, fields.get(3)?, fields.get(9)?);
    let (ip, port) = local.split_once(':')?;
    let ip = parse_ip(ip)?.to_canonical();
    let is_same = ip.is_unspecified() || address.ip().is_unspecified() || ip == address.ip().to_canonical();
    let listens = *state == LISTENS && u16::from_str_radix(port, 16).ok()? == address.port();
    (listens && is_same).then(|| format!("socket:[{inode}]"))
}

/// An address as the kernel prints it: words of 32 bits, each in the byte order of the machine.
fn parse_ip(text: &str) -> Option<IpAddr> {
    let word = |from: usize| u32::from_str_radix(text.get(from..from + 8)?, 16).ok().map(u32::to_ne_bytes);
    match text.len() {
        8 => word(0).map(|bytes| IpAddr::V4(Ipv4Addr::from(bytes))),
        32 => {
            let words: Option<Vec<[u8; 4]>> = (0..4).map(|number| word(number * 8)).collect();
            let bytes: [u8; 16] = words?.concat().try_into().ok()?;
            Some(IpAddr::V6(Ipv6Addr::from(bytes)))
        }
        _ => None,
    }
}

fn processes() -> impl Iterator<Item = u32> {
    let entries = std::fs::read_dir("/proc").into_iter().flatten().flatten();
    entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok())
}

fn holds(pid: u32, socket: &str) -> bool {
    let descriptors = std::fs::read_dir(format!("/proc/{pid}/fd")).into_iter().flatten().flatten();
    descriptors.filter_map(|entry| std::fs::read_link(entry.path()).ok()).any(|link| link.as_os_str() == socket)
}

fn name(pid: u32) -> String {
    let name = std::fs::read_to_string(format!("/proc/{pid}/comm")).unwrap_or_default();
    name.trim().to_owned()
}
