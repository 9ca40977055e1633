//! A `tidegate controller` process, restricted to one namespace so that tests do not meet. It ends with its owner.

use std::{
    fs::File,
    path::PathBuf,
    process::{Child, Command, ExitStatus, Stdio},
    sync::atomic::{AtomicU16, Ordering},
    time::Duration,
};

use tokio::time::{Instant, sleep};

use super::{Space, space::lab};

static NEXT_PORT: AtomicU16 = AtomicU16::new(0);

pub struct Controller {
    child: Option<Child>,
    binary: PathBuf,
    kubeconfig: PathBuf,
    namespace: String,
    pub port: u16,
    /// More of the command line, from the next start on; without flags of an election it is the only one.
    pub arguments: Vec<String>,
    log: PathBuf,
}

impl Controller {
    pub fn start(space: &Space, binary: &str) -> Self {
        Self::start_by(space, binary, PathBuf::from(lab("TIDEGATE_LAB_DIR")).join("kubeconfig-tidegate"))
    }

    /// The same, by another way to the API server.
    pub fn start_by(space: &Space, binary: &str, kubeconfig: PathBuf) -> Self {
        Self::with(space, binary, kubeconfig, &["--leader-elect=false"])
    }

    /// A candidate for a Lease in the namespace.
    pub fn candidate(space: &Space, binary: &str, kubeconfig: PathBuf) -> Self {
        Self::with(space, binary, kubeconfig, &["--lease-namespace", &space.namespace])
    }

    fn with(space: &Space, binary: &str, kubeconfig: PathBuf, election: &[&str]) -> Self {
        let port = 20_000 + (std::process::id() % 500) as u16 * 40 + NEXT_PORT.fetch_add(1, Ordering::Relaxed);
        let log =
            PathBuf::from(lab("TIDEGATE_LAB_DIR")).join("logs").join(format!("controller-{}.log", space.namespace));
        let (binary, namespace) = (binary.into(), space.namespace.clone());
        let arguments = election.iter().map(|flag| (*flag).to_owned()).collect();
        let mut controller = Self { child: None, binary, kubeconfig, namespace, port, arguments, log };
        controller.restart();
        controller
    }

    pub fn restart(&mut self) {
        self.kill();
        let log = File::options().create(true).append(true).open(&self.log).expect("a log file");
        let errors = log.try_clone().expect("a log file");
        let child = Command::new(&self.binary)
            .arg("--kubeconfig")
            .arg(&self.kubeconfig)
            .args(["controller", "--namespace", &self.namespace, "--listen", &format!("127.0.0.1:{}", self.port)])
            .args(&self.arguments)
            .env("RUST_BACKTRACE", "1")
            .stdin(Stdio::null())
            .stdout(log)
            .stderr(errors)
            .spawn()
            .expect("the controller starts");
        self.child = Some(child);
    }

    /// SIGTERM, or another signal by its name.
    pub fn signal(&self, name: &str) {
        let id = self.child.as_ref().expect("it runs").id().to_string();
        let sent = Command::new("kill").args(["-s", name, &id]).status().expect("kill runs");
        assert!(sent.success(), "{name} to {id}");
    }

    /// How it ended; None: it runs.
    pub fn ended(&mut self) -> Option<ExitStatus> {
        self.child.as_mut().and_then(|child| child.try_wait().expect("its state"))
    }

    /// How it ends by itself.
    pub async fn end(&mut self) -> ExitStatus {
        let limit = Instant::now() + Duration::from_secs(20);
        loop {
            if let Some(ended) = self.ended() {
                return ended;
            }
            assert!(Instant::now() < limit, "the controller of {} has not ended", self.namespace);
            sleep(Duration::from_millis(100)).await;
        }
    }

    /// `kill -9`.
    pub fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }

    /// What the process has in memory now and had at most, in MB of 1,000,000 bytes (VmRSS and VmHWM of /proc).
    pub fn memory(&self) -> (f64, f64) {
        let id = self.child.as_ref().map(Child::id).expect("the controller runs");
        let status = std::fs::read_to_string(format!("/proc/{id}/status")).expect("the controller runs");
        let of = |field: &str| -> f64 {
            let line = status.lines().find_map(|line| line.strip_prefix(field)).expect("a field of the process");
            line.trim_matches([':', ' ', '\t', 'k', 'B']).parse::<f64>().expect("a number of KiB") * 1_024.0 / 1e6
        };
        (of("VmRSS"), of("VmHWM"))
    }

    pub fn log(&self) -> String {
        std::fs::read_to_string(&self.log).unwrap_or_default()
    }
}

impl Drop for Controller {
    fn drop(&mut self) {
        self.kill();
    }
}
