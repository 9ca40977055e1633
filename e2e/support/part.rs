//! A part of the lab that is away for a while. It comes back with the end of the test, however that ends.

use std::process::{Command, Stdio};

use super::space::lab;

pub struct Away {
    name: &'static str,
}

impl Away {
    /// Returns when the part has stopped.
    pub fn stop(name: &'static str) -> Self {
        assert!(part("stop", name), "{name} does not stop");
        Self { name }
    }

    /// Returns when the part is ready again.
    pub fn start(self) {
        drop(self);
    }
}

impl Drop for Away {
    fn drop(&mut self) {
        let back = part("start", self.name);
        assert!(back || std::thread::panicking(), "{} does not start", self.name);
    }
}

fn part(verb: &str, name: &str) -> bool {
    let mut command = Command::new(lab("TIDEGATE_LAB_BIN"));
    command.args(["part", verb, name]).stdin(Stdio::null()).status().is_ok_and(|status| status.success())
}
