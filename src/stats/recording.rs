//! The last windows of a metric, as many as there is room for, and the tests as they stood before them: what a replay starts from.
//!
//! It judges nothing. The tests follow the windows at a distance, so that both together give the present state bit by bit.

use std::collections::VecDeque;

use serde_json::{Value, json};

use super::{
    bits::{from_bits, to_bits},
    fold::BrokenState,
    margin::MarginTest,
    window::Counts,
};

/// Windows that are kept at most: a replay of more proves no more.
const MOST: usize = 64;

/// The tests before the first recorded window, and the windows.
#[derive(Clone, Debug, PartialEq)]
pub struct Recording {
    fail: MarginTest,
    pass: MarginTest,
    windows: VecDeque<(Counts, Counts)>,
    /// It was the same in all recorded windows: what came before is in the tests.
    phi: f64,
    /// Of the windows' text, in bytes.
    room: usize,
}

impl Recording {
    pub fn new(fail: MarginTest, pass: MarginTest, room: usize) -> Self {
        Self { fail, pass, windows: VecDeque::new(), phi: 1.0, room }
    }

    /// Counts must be whole numbers.
    pub fn absorb(&mut self, canary: Counts, control: Counts, phi: f64) {
        if phi != self.phi {
            self.forget(0);
            self.phi = phi;
        }
        self.windows.push_back((canary, control));
        let mut bytes = self.windows.iter().map(|window| written(window).len() + 1).sum::<usize>();
        let mut keep = self.windows.len();
        for window in &self.windows {
            if keep <= MOST && bytes <= self.room {
                break;
            }
            bytes -= written(window).len() + 1;
            keep -= 1;
        }
        self.forget(keep);
    }

    /// The oldest windows beyond this number go into the tests.
    fn forget(&mut self, most: usize) {
        while self.windows.len() > most {
            let Some((canary, control)) = self.windows.pop_front() else { return };
            self.fail.absorb(canary, control, self.phi);
            self.pass.absorb(canary, control, self.phi);
        }
    }

    /// The tests after all windows, folded again, and how many windows that were.
    pub fn replay(&self) -> (MarginTest, MarginTest, usize) {
        let (mut fail, mut pass) = (self.fail.clone(), self.pass.clone());
        for (canary, control) in &self.windows {
            fail.absorb(*canary, *control, self.phi);
            pass.absorb(*canary, *control, self.phi);
        }
        (fail, pass, self.windows.len())
    }

    /// The states of the tests before the first window and after each.
    pub fn states(&self) -> Vec<Value> {
        let (mut fail, mut pass) = (self.fail.clone(), self.pass.clone());
        let mut states = vec![json!({ "fail": fail.state(), "pass": pass.state() })];
        for (canary, control) in &self.windows {
            fail.absorb(*canary, *control, self.phi);
            pass.absorb(*canary, *control, self.phi);
            states.push(json!({ "fail": fail.state(), "pass": pass.state() }));
        }
        states
    }

    pub fn state(&self) -> Value {
        let windows: Vec<String> = self.windows.iter().map(written).collect();
        json!({
            "fail": self.fail.state(),
            "pass": self.pass.state(),
            "phi": to_bits(self.phi),
            "windows": windows.join(";"),
        })
    }

    pub fn restore(&mut self, state: &Value) -> Result<(), BrokenState> {
        const BROKEN: BrokenState = BrokenState("the recorded windows");
        self.fail.restore(&state["fail"])?;
        self.pass.restore(&state["pass"])?;
        self.phi = from_bits(&state["phi"]).ok_or(BROKEN)?;
        let text = state["windows"].as_str().ok_or(BROKEN)?;
        let windows = text.split(';').filter(|window| !window.is_empty()).map(read);
        self.windows = windows.collect::<Option<_>>().ok_or(BROKEN)?;
        Ok(())
    }
}

fn written((canary, control): &(Counts, Counts)) -> String {
    format!("{},{},{},{}", canary.bad, canary.total, control.bad, control.total)
}

fn read(text: &str) -> Option<(Counts, Counts)> {
    let numbers: Vec<u64> = text.split(',').map(|number| number.parse().ok()).collect::<Option<_>>()?;
    let [xc, nc, xs, ns] = numbers.try_into().ok()?;
    let counts = |bad: u64, total: u64| Counts { bad: bad as f64, total: total as f64 };
    Some((counts(xc, nc), counts(xs, ns)))
}
