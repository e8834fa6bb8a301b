//! Tokens as those who run a herd use them: made, shown, rotated and revoked while nodes run, never told to anyone but their
//! holders, and asked for before a node opens itself to others.

use std::{
    fs,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    process::Output,
};

use rustix::process::Signal;

use super::support::{Client, Herd, Process, eventually, herd_command, solo};

/// `herd` with these arguments and the herd's configuration.
fn herd(herd: &Herd, arguments: &[&str]) -> Output {
    herd.command(arguments).env_remove("HERD_TOKEN_FILE").output().unwrap()
}

#[track_caller]
fn done(output: &Output) -> String {
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout.clone()).unwrap()
}

/// The node Solo with a web face, which wants tokens and looks at their file all the time.
fn guarded(more: &str) -> Herd {
    let access =
        "[access]\nclients = \"tokens\"\ntokens_file = \"herd.tokens\"\ntokens_check_seconds = 0.01\n";
    solo(&format!("http = \"127.0.0.1:11680\"\n{access}{more}"))
}

/// `herd` with these arguments and that token.
fn with(of: &Herd, token: &str, arguments: &[&str]) -> Output {
    herd(of, &[arguments, &["--token-file", token]].concat())
}

/// Adds a token, and gives the path of its file, and its text.
fn add(of: &Herd, name: &str, flags: &[&str]) -> (PathBuf, String) {
    let file = of.config.with_file_name(format!("{name}.token"));
    let to = file.display().to_string();
    done(&herd(of, &[&["token", "add", name, "--to", &to], flags].concat()));
    let text = fs::read_to_string(&file).unwrap().trim().to_owned();
    (file, text)
}

fn auth(of: &Herd, token: &str) -> Client {
    let mut client = of.client("Solo");
    assert!(client.ask(&format!("AUTH {token}")).starts_with("WELCOME "));
    client
}

#[test]
fn node_beyond_loopback_starts_only_once_it_is_said_who_clients_are() {
    let folder = tempfile::tempdir().unwrap();
    let (config, secret) = (folder.path().join("h.toml"), folder.path().join("herd.secret"));
    assert!(herd_command(&["secret"]).arg(&secret).status().unwrap().success());
    let write = |listen: &str, access: &str| {
        let node = format!("[[node]]\nid = \"Solo\"\nlisten = \"{listen}\"\n");
        fs::write(&config, format!("[herd]\nname = \"solo\"\nsecret_file = \"herd.secret\"\n{node}{access}"))
            .unwrap();
    };
    let run = |arguments: &[&str]| {
        let mut command = herd_command(arguments);
        command.arg("--config").arg(&config).arg("--log-dir").arg(folder.path());
        command
    };
    write("0.0.0.0:0", "");
    for arguments in [&["check-config"][..], &["node", "Solo"], &["up"]] {
        let refused = run(arguments).output().unwrap();
        let said = String::from_utf8(refused.stderr).unwrap();
        assert_eq!(refused.status.code(), Some(2), "{said}");
        let choices =
            ["clients = \"tokens\"", "clients = \"open\"", "h.toml:6: 0.0.0.0:0 is beyond loopback"];
        assert!(said.lines().count() == 1 && choices.iter().all(|choice| said.contains(choice)), "{said}");
        assert!(refused.stdout.is_empty());
    }
    let tokens = folder.path().join("herd.tokens");
    for (access, is_open) in [
        ("[access]\nclients = \"open\"\n", true),
        ("[access]\nclients = \"tokens\"\ntokens_file = \"herd.tokens\"\n", false),
    ] {
        write("0.0.0.0:0", access);
        if !is_open {
            let refused = run(&["node", "Solo"]).output().unwrap();
            let said = String::from_utf8(refused.stderr).unwrap();
            assert!(
                refused.status.code() == Some(2) && said.contains("make them with `herd token add`"),
                "{said}"
            );
            assert!(run(&["token", "add", "kiwi"]).output().unwrap().status.success());
            assert_eq!(fs::metadata(&tokens).unwrap().permissions().mode() & 0o777, 0o600);
        }
        let mut node = Process::start(run(&["node", "Solo", "--lifeline"]));
        node.hear("that it listens", |said| said.iter().any(|line| line.starts_with("listening 0.0.0.0:")));
        let listening = node.said.iter().find_map(|line| line.strip_prefix("listening 0.0.0.0:")).unwrap();
        let answer = Client::connect(&format!("127.0.0.1:{listening}")).ask("IAMAT kiwi +1+1 1");
        assert_eq!(answer.starts_with("AT Solo "), is_open, "{answer}");
        let log = || fs::read_to_string(folder.path().join("Solo.log")).unwrap_or_default();
        let warning = "anyone who can connect may report for any client";
        eventually("it is told", || !is_open || log().contains(warning));
    }
}

#[test]
fn commands_show_the_token_of_a_file_and_a_hang_up_takes_tokens_anew() {
    let mut of = guarded("");
    // Only a signal has them looked at.
    let text = fs::read_to_string(&of.config).unwrap().replace("= 0.01", "= 3600");
    fs::write(&of.config, text).unwrap();
    let (ops, _) = add(&of, "ops", &["--role", "operator"]);
    of.start("Solo");
    let ops = ops.display().to_string();
    let report = ["send", "Solo", "IAMAT kiwi +1+1 1479413884"];
    let quiet = |output: Output| {
        assert!(output.stderr.is_empty(), "on loopback nobody else hears a token: {output:?}");
        done(&output)
    };
    assert!(quiet(with(&of, &ops, &report)).starts_with("AT Solo "));
    assert!(quiet(with(&of, &ops, &["forget", "kiwi"])).contains("has forgotten 1 client"));
    assert!(quiet(with(&of, &ops, &["status"])).contains("in step"));
    // In the environment, too.
    let output = of.command(&report).env("HERD_TOKEN_FILE", &ops).output().unwrap();
    assert!(done(&output).starts_with("AT Solo "));

    // Without one, or with another's.
    let refused = herd(&of, &report);
    assert!(done(&refused).starts_with("? IAMAT kiwi"));
    let said = String::from_utf8(refused.stderr).unwrap();
    assert!(said.contains("no token was shown that may report for that client; see --token-file"), "{said}");
    let status = herd(&of, &["status"]);
    assert_eq!(status.status.code(), Some(1));
    assert!(
        String::from_utf8(status.stdout).unwrap().contains("it wants a monitor's token; see --token-file")
    );
    assert!(!herd(&of, &["forget", "kiwi"]).status.success());
    let (kiwi, _) = add(&of, "kiwi", &["--report", "kiwi"]);
    let kiwi = kiwi.display().to_string();
    let refused = with(&of, &kiwi, &report);
    assert_eq!(refused.status.code(), Some(1), "its node does not know it yet");
    assert!(String::from_utf8(refused.stderr).unwrap().contains("Solo does not take the token"));
    of.process("Solo").signal(Signal::HUP);
    of.wait_for_log("Solo", &["the tokens are taken anew: 2; added kiwi"]);
    assert!(done(&with(&of, &kiwi, &["send", "Solo", "IAMAT kiwi +1+1 1479413885"])).starts_with("AT Solo "));
    let status = with(&of, &kiwi, &["status"]);
    let said = String::from_utf8(status.stdout).unwrap();
    assert!(said.contains("the token is not a monitor's or an operator's"), "{said}");

    fs::set_permissions(&ops, fs::Permissions::from_mode(0o644)).unwrap();
    let refused = with(&of, &ops, &["status"]);
    let said = String::from_utf8(refused.stderr).unwrap();
    assert!(refused.status.code() == Some(2) && said.contains("run `chmod 600 "), "{said}");
}

#[test]
fn rotated_and_revoked_tokens_lose_their_rights_on_connections_that_have_shown_them() {
    let mut of = guarded("");
    let (file, text) = add(&of, "kiwi", &["--report", "kiwi"]);
    of.start("Solo");
    let mut client = auth(&of, &text);
    assert!(client.ask("IAMAT kiwi +1+1 5").starts_with("AT "));
    done(&herd(&of, &["token", "rotate", "kiwi", "--to", &file.display().to_string()]));
    eventually("the old one is void", || client.ask("IAMAT kiwi +1+1 6") == "? IAMAT kiwi +1+1 6");
    let new = fs::read_to_string(&file).unwrap().trim().to_owned();
    assert_ne!(new, text);
    let mut client = auth(&of, &new);
    done(&herd(&of, &["token", "revoke", "kiwi"]));
    eventually("it is void", || client.ask("IAMAT kiwi +1+1 7") == "? IAMAT kiwi +1+1 7");
    // One that is printed is printed alone.
    let printed = done(&herd(&of, &["token", "add", "tui"]));
    assert!(printed.len() == 46 && printed.starts_with("herd_") && printed.ends_with('\n'), "{printed:?}");
    let listed = done(&herd(&of, &["token", "list"]));
    assert!(
        listed.contains("tui") && !listed.contains("kiwi") && !listed.contains(printed.trim()),
        "{listed}"
    );
}

/// Looks for a token's text, for half of it, and for it in base 64.
#[track_caller]
fn expect_no_token(what: &str, text: &str, tokens: &[String]) {
    use base64::{Engine as _, prelude::BASE64_STANDARD_NO_PAD};
    for token in tokens {
        let digits = &token[5..];
        let encoded = BASE64_STANDARD_NO_PAD.encode(&token.as_bytes()[..24]);
        for part in [&digits[..20], &digits[20..], &encoded] {
            assert!(!text.contains(part), "{what} tells a token: {text}");
        }
    }
}

/// Every file below a folder that is no token's own.
fn files_below(folder: &Path) -> Vec<PathBuf> {
    let (mut open, mut files) = (vec![folder.to_owned()], Vec::new());
    while let Some(path) = open.pop() {
        if path.is_dir() {
            open.extend(fs::read_dir(path).unwrap().map(|entry| entry.unwrap().path()));
        } else if path.extension().is_none_or(|extension| extension != "token") {
            files.push(path);
        }
    }
    files
}

/// Shows a token to Solo in every way, well and wrong, whole and cut off; what came back.
fn shown_in_every_way(of: &Herd, token: &str) -> Vec<String> {
    let mut told = Vec::new();
    let long = "x".repeat(20_000);
    for lines in [
        format!("AUTH {token}\nIAMAT kiwi +1+1 5\nWHATSAT kiwi 1 1\nFORGET kiwi\n"),
        format!("AUTH {token} {token}\nauth {token}\n"),
        format!("hello\nGET /status?token={token} HTTP/1.1\nAuthorization: Bearer {token}\n{token}\n"),
        format!("GET /?token={token} HTTP/1.1\r\nAuthorization: Bearer {token}\r\n\r\n"),
        format!("AUTH {token}{long}\nhello {token}{long}\n"),
        format!("HELLO 2 {token}\n"),
        format!("hello\nAUTH {token}"),
    ] {
        let mut client = of.client("Solo");
        client.send(lines.as_bytes());
        client.end_input();
        told.push(String::from_utf8_lossy(&client.rest()).into_owned());
    }
    for head in [
        format!(
            "GET /status HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nAuthorization: Bearer {token}\r\n\r\n"
        ),
        format!(
            "GET /metrics HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nAuthorization: Bearer {token}\r\n\r\n"
        ),
        format!("GET /{token}?token={token} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"),
        format!("GET / HTTP/1.1\r\nHost: {token}\r\nConnection: close\r\n\r\n"),
        format!("{token} / HTTP/1.1\r\nHost: localhost\r\n\r\n"),
    ] {
        let mut client = Client::connect(&of.listens_at("Solo").replace(":11600", ":11680"));
        client.send(head.as_bytes());
        told.push(String::from_utf8_lossy(&client.rest()).into_owned());
    }
    told
}

#[test]
fn tokens_are_nowhere_but_with_their_holders() {
    let mut of = guarded("[log]\nbodies = true\n[journal]\ndir = \"kept\"\n");
    let (ops_file, ops) = add(&of, "ops", &["--role", "operator"]);
    let (_, kiwi) = add(&of, "kiwi", &["--report", "kiwi"]);
    let unknown = format!("herd_{}", "5a".repeat(20));
    let tokens = [ops.clone(), kiwi.clone(), unknown.clone()];
    of.start("Solo");
    let pid = of.process("Solo").pid();
    let mut told: Vec<_> = tokens.iter().flat_map(|token| shown_in_every_way(&of, token)).collect();
    told.push(String::from_utf8_lossy(&fs::read(format!("/proc/{pid}/cmdline")).unwrap()).into_owned());
    told.push(String::from_utf8_lossy(&fs::read(format!("/proc/{pid}/environ")).unwrap()).into_owned());
    // Files of tokens that are broken by the very tokens in them.
    let file = of.config.with_file_name("herd.tokens");
    let whole = fs::read_to_string(&file).unwrap();
    for broken in [format!("{ops}\n"), whole.replace("\"kiwi\"", &format!("\"{kiwi}\""))] {
        let lines = of.log("Solo").len();
        fs::write(&file, broken).unwrap();
        eventually("it is told", || {
            of.log("Solo").iter().skip(lines).any(|line| line.contains("the tokens of before stay in force"))
        });
        told.push(format!("{:?}", herd(&of, &["check-config"])));
        told.push(format!("{:?}", herd(&of, &["token", "list"])));
    }
    fs::write(&file, &whole).unwrap();
    // Commands that show one, to a node that takes it and to one that is not there.
    let flag = ["--token-file", &ops_file.display().to_string()].map(str::to_owned);
    let flag = flag.each_ref().map(String::as_str);
    for arguments in [
        &["status"][..],
        &["status", "--json"],
        &["send", "Solo", "hello"],
        &["forget", "weka"],
        &["check-config"],
    ] {
        let flag = if arguments[0] == "check-config" { &[][..] } else { &flag };
        told.push(format!("{:?}", herd(&of, &[arguments, flag].concat())));
    }
    told.push(format!("{:?}", herd(&of, &["token", "list"])));
    told.push(of.process("Solo").said.join("\n"));
    of.stop("Solo");
    for arguments in [&["status"][..], &["send", "Solo", "hello"], &["forget", "weka"]] {
        told.push(format!("{:?}", herd(&of, &[arguments, &flag].concat())));
    }
    for text in &told {
        expect_no_token("an output", text, &tokens);
    }
    let folder = of.config.parent().unwrap();
    let files = files_below(folder);
    assert!(
        ["Solo.log", "herd.tokens", "herd.toml"]
            .iter()
            .all(|name| files.iter().any(|file| file.ends_with(name)))
    );
    for file in files {
        let text = String::from_utf8_lossy(&fs::read(&file).unwrap()).into_owned();
        expect_no_token(&file.display().to_string(), &text, &tokens);
    }
    assert!(of.log("Solo").iter().any(|line| line.ends_with("WELCOME ops")), "what is told instead");
}
