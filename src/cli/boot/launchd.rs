//! The text of an agent of launchd, for macOS. Pure.

use std::fmt::Write as _;

use super::Boot;

/// The agent that starts this when its user logs in and keeps it running.
pub(in crate::cli) fn agent(boot: &Boot) -> String {
    let mut text = String::from(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<!DOCTYPE plist PUBLIC \"-//Apple//DTD PLIST 1.0//EN\" \
         \"http://www.apple.com/DTDs/PropertyList-1.0.dtd\">\n<plist version=\"1.0\">\n<dict>\n",
    );
    let _ = writeln!(text, "  <key>Label</key>\n  <string>{}</string>", escaped(&label(boot)));
    text += "  <key>ProgramArguments</key>\n  <array>\n";
    for word in &boot.words {
        let _ = writeln!(text, "    <string>{}</string>", escaped(word));
    }
    text += "  </array>\n  <key>EnvironmentVariables</key>\n  <dict>\n";
    for (name, value) in &boot.environment {
        let _ = writeln!(text, "    <key>{}</key>\n    <string>{}</string>", escaped(name), escaped(value));
    }
    text += "  </dict>\n  <key>RunAtLoad</key>\n  <true/>\n  <key>KeepAlive</key>\n  <true/>\n";
    // Seconds; launchd has no list of codes after which it gives up.
    text += "  <key>ThrottleInterval</key>\n  <integer>1</integer>\n  <key>ExitTimeOut</key>\n  <integer>15</integer>\n";
    text + "</dict>\n</plist>\n"
}

/// The name that launchd knows it by.
fn label(boot: &Boot) -> String {
    format!("witwd.{}", boot.stack)
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}
