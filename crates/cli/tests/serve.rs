//! Starting a server: which log, under which name, and with how much room.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test stops where it fails"
)]

use std::fs;
use std::io::{BufRead, BufReader, Read};
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};

use tempfile::TempDir;

const TEGULA: &str = env!("CARGO_BIN_EXE_tegula");

fn refused(home: &TempDir, args: &[&str]) -> String {
    let Output { status, stderr, .. } = Command::new(TEGULA)
        .arg("serve")
        .args(args)
        .current_dir(home.path())
        .output()
        .unwrap();
    let told = String::from_utf8(stderr).unwrap();
    assert_eq!(status.code(), Some(2), "{told}");
    told
}

/// A server that is ended with this, and what it says on standard error.
struct Server(Child);

impl Server {
    fn start(home: &TempDir, args: &str) -> (Self, String) {
        let script = format!("{args} --listen 127.0.0.1:0 --json");
        let mut process = Command::new("sh")
            .args(["-c", &script])
            .env("TEGULA", TEGULA)
            .current_dir(home.path())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        let said = process.stdout.take().unwrap();
        BufReader::new(said).read_line(&mut line).unwrap();
        (Self(process), line)
    }

    fn stop(mut self) -> String {
        let pid = self.0.id().to_string();
        let told = Command::new("kill").args(["-TERM", &pid]).status();
        assert!(told.unwrap().success());
        let mut errors = String::new();
        let mut said = self.0.stderr.take().unwrap();
        said.read_to_string(&mut errors).unwrap();
        assert!(self.0.wait().unwrap().success(), "{errors}");
        errors
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // It may have ended already.
        self.0.kill().ok();
        self.0.wait().ok();
    }
}

#[test]
fn a_name_that_the_world_sees_is_not_guessed() {
    let home = tempfile::tempdir().unwrap();
    let told = refused(&home, &["log", "--listen", "0.0.0.0:0"]);
    assert!(
        told.contains("needs --origin, the bare host name of its public URL"),
        "{told}"
    );
    assert!(!Path::new(&home.path().join("log")).exists());

    let (server, line) = Server::start(&home, "exec $TEGULA serve log");
    assert!(line.contains("\"origin\":\"127.0.0.1\""), "{line}");
    let errors = server.stop();
    assert!(errors.contains("this is its name for ever"), "{errors}");
    // Once it is made there is nothing to choose.
    let (server, _) = Server::start(&home, "exec $TEGULA serve log");
    assert!(!server.stop().contains("for ever"));
    let (server, line) = Server::start(&home, "exec $TEGULA serve other --origin log.example");
    assert!(line.contains("\"origin\":\"log.example\""), "{line}");
    assert!(!server.stop().contains("for ever"));
}

#[test]
fn a_log_that_is_not_mounted_is_not_made_anew() {
    let home = tempfile::tempdir().unwrap();
    fs::create_dir(home.path().join("log")).unwrap();
    for directory in ["log", "absent"] {
        let told = refused(&home, &[directory, "--existing", "--listen", "127.0.0.1:0"]);
        assert!(told.contains("is it mounted?"), "{told}");
    }
    let left = fs::read_dir(home.path().join("log")).unwrap().count();
    assert_eq!(left, 0);
    Server::start(&home, "exec $TEGULA serve log").0.stop();
    Server::start(&home, "exec $TEGULA serve log --existing")
        .0
        .stop();
}

#[test]
fn connections_have_a_range() {
    let home = tempfile::tempdir().unwrap();
    for wrong in ["0", "1000001", "18446744073709551615", "many"] {
        let told = refused(&home, &["log", "--max-connections", wrong]);
        assert!(told.contains("--max-connections"), "{told}");
    }
}

#[test]
fn connections_leave_descriptors_for_files() {
    let home = tempfile::tempdir().unwrap();
    let (server, _) = Server::start(
        &home,
        "ulimit -Hn 5000; ulimit -Sn 1024; exec $TEGULA serve log",
    );
    let errors = server.stop();
    assert!(errors.contains("from=1024 to=4672"), "{errors}");
    assert!(!errors.contains("fewer connections"), "{errors}");
    let (server, _) = Server::start(&home, "ulimit -n 1024; exec $TEGULA serve log");
    let errors = server.stop();
    assert!(
        errors.contains("fewer connections at one time: the limit of file descriptors is 1024"),
        "{errors}"
    );
    assert!(errors.contains("connections=448"), "{errors}");
}
