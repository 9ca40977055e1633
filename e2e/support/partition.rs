//! Which requests get through to the API server, and which are held back on their way.

/// A way that is open, or in parts only. What does not get through is never answered.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Way {
    #[default]
    Open,
    /// Everything but what is about Leases.
    WithoutLeases,
    /// Nothing but what is about Leases.
    OnlyLeases,
}

impl Way {
    /// Whether a request to this path gets through.
    pub fn leads_to(self, path: &str) -> bool {
        let of_lease = path.split('/').any(|part| part == "leases");
        match self {
            Self::Open => true,
            Self::WithoutLeases => !of_lease,
            Self::OnlyLeases => of_lease,
        }
    }
}
