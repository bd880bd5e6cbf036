//! The texts that service managers read.

use expect_test::expect;

use super::{As, Boot, Unit, agent};

fn boot(owner: As) -> Boot {
    let words = ["/opt/wit wd/100%/witwd", "--file", "/srv/my \"shop\"/stack.toml", "--profile", "dev", "daemon"];
    Boot {
        stack: "shop".to_owned(),
        directory: "/srv/my \"shop\"".into(),
        owner,
        words: words.map(str::to_owned).to_vec(),
        environment: vec![("PATH".to_owned(), "/usr/bin:/opt/a b/$x\\%".to_owned())],
    }
}

#[test]
fn a_unit_of_the_system_runs_as_root() {
    let unit = Unit::of(&boot(As::Root)).expect("a unit");
    assert_eq!(unit.name, "witwd-shop.service");
    expect![[r##"
        # Made by `witwd enable` for the stack in /srv/my "shop"

        [Unit]
        Description=witwd: stack shop in /srv/my "shop"
        Wants=docker.service
        After=docker.service
        RequiresMountsFor='/srv/my "shop"'
        StartLimitIntervalSec=0

        [Service]
        Type=notify
        NotifyAccess=main
        ExecStart=:"/opt/wit wd/100%%/witwd" "--file" "/srv/my \"shop\"/stack.toml" "--profile" "dev" "daemon"
        Environment="PATH=/usr/bin:/opt/a b/$x\\%%"
        Restart=always
        RestartSec=100ms
        RestartPreventExitStatus=2 3 7
        WatchdogSec=30
        TimeoutStopSec=15
        KillMode=mixed
        NoNewPrivileges=yes
        ProtectKernelModules=yes
        RestrictRealtime=yes
        LimitCORE=0
        ProtectSystem=full
        ProtectControlGroups=yes
        ReadWritePaths='/srv/my "shop"'

        [Install]
        WantedBy=multi-user.target
    "##]]
    .assert_eq(&unit.text);
}

#[test]
fn a_unit_of_the_system_runs_as_the_owner_of_the_directory() {
    let unit = Unit::of(&boot(As::Owner(1000))).expect("a unit");
    let own = unit.text.lines().skip_while(|line| !line.starts_with("KillMode"));
    expect![[r#"
        KillMode=mixed
        User=1000
        RuntimeDirectory=witwd-shop
        RuntimeDirectoryMode=0700
        RuntimeDirectoryPreserve=yes
        Environment=WITWD_RUNTIME_DIR=/run/witwd-shop
        ProtectSystem=full
        ProtectControlGroups=yes
        ReadWritePaths='/srv/my "shop"'

        [Install]
        WantedBy=multi-user.target"#]]
    .assert_eq(&own.collect::<Vec<_>>().join("\n"));
}

#[test]
fn a_unit_of_a_user_asks_for_nothing_that_needs_a_namespace() {
    let unit = Unit::of(&boot(As::User)).expect("a unit");
    let own = unit.text.lines().skip_while(|line| !line.starts_with("KillMode"));
    expect![[r#"
        KillMode=mixed

        [Install]
        WantedBy=default.target"#]]
    .assert_eq(&own.collect::<Vec<_>>().join("\n"));
}

#[test]
fn a_path_with_both_kinds_of_quotes_is_refused() {
    let boot = Boot { directory: "/srv/\"it's\"".into(), ..boot(As::Root) };
    let failure = Unit::of(&boot).expect_err("no unit can name it");
    assert!(failure.message.contains("both kinds of quotes"), "{}", failure.message);
}

#[test]
fn a_program_that_systemd_would_not_start_is_refused() {
    for program in ["/opt/it's/witwd", "/opt/\"it\"/witwd", "/opt/i\\t/witwd"] {
        let boot = Boot { words: vec![program.to_owned(), "daemon".to_owned()], ..boot(As::Root) };
        let failure = Unit::of(&boot).expect_err("systemd refuses it");
        assert!(failure.message.contains("starts no program"), "{}", failure.message);
    }
}

#[test]
fn an_agent_of_launchd() {
    expect![[r#"
        <?xml version="1.0" encoding="UTF-8"?>
        <!DOCTYPE plist PUBLIC "-//Apple//DTD PLIST 1.0//EN" "http://www.apple.com/DTDs/PropertyList-1.0.dtd">
        <plist version="1.0">
        <dict>
          <key>Label</key>
          <string>witwd.shop</string>
          <key>ProgramArguments</key>
          <array>
            <string>/opt/wit wd/100%/witwd</string>
            <string>--file</string>
            <string>/srv/my "shop"/stack.toml</string>
            <string>--profile</string>
            <string>dev</string>
            <string>daemon</string>
          </array>
          <key>EnvironmentVariables</key>
          <dict>
            <key>PATH</key>
            <string>/usr/bin:/opt/a b/$x\%</string>
          </dict>
          <key>RunAtLoad</key>
          <true/>
          <key>KeepAlive</key>
          <true/>
          <key>ThrottleInterval</key>
          <integer>1</integer>
          <key>ExitTimeOut</key>
          <integer>15</integer>
        </dict>
        </plist>
    "#]]
    .assert_eq(&agent(&Boot { directory: "/srv/a&b".into(), ..boot(As::User) }));
}
