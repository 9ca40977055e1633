//! The catalogue: where each failure was seen, and why some are not seeded.

/// Where the failure of a row was seen: AR is argo-rollouts, FL Flagger, KR OpenKruise Rollouts, GW the Gateway API plugin of AR.
pub const fn sources(row: usize) -> &'static str {
    SOURCES[row - 1]
}

const SOURCES: [&str; 55] = [
    "AR#1190",
    "AR#2235",
    "AR#4841",
    "AR#4900",
    "AR#4612",
    "AR#3941, AR#4852",
    "AR#4564, AR#4639",
    "AR#4560",
    "AR#3077, AR#4035",
    "AR#3420",
    "AR#4890",
    "AR#4831",
    "AR#1718",
    "AR#4642",
    "AR#4486, AR#4716",
    "AR#3898",
    "AR#4347, FL#1791",
    "AR#3467, AR#3474",
    "FL#1591",
    "FL#1202, FL#773",
    "FL#874",
    "FL#869, FL#635",
    "FL#1939, FL#1588",
    "AR, trafficrouting.go",
    "AR#4973",
    "AR#1415",
    "AR#2857, AR#3849",
    "AR#4221, AR#856",
    "AR#4073, AR#3316",
    "AR#3316",
    "AR#4842, AR#4804",
    "AR#2117",
    "AR#3264, AR#1107",
    "AR#3060",
    "AR#3354, AR#3272",
    "AR#3774, AR#3784",
    "KR#191, KR#307",
    "GW#164, GW#203",
    "AR#2266, AR#1253",
    "FL#1049, FL#1712",
    "AR, promote.go",
    "FL, scheduler.go",
    "AR#4535, AR#4770",
    "AR#3850, AR#3873",
    "AR#521, AR#4393",
    "AR#4479",
    "AR#943, AR#4604",
    "FL#1763",
    "FL, AR, prometheus.go",
    "FL#1035, FL#1098",
    "AR#1225, AR#3534",
    "FL#1450, FL#738",
    "AR#4696, AR#1367",
    "AR#829",
    // Of law S17, and of no report: the tools whose reports these are know no freeze.
    "-",
];

/// Rows that cannot apply, and why.
pub const LEFT_OUT: [(usize, &str); 2] = [
    (45, "a Job that counts as success: no analysis runs Jobs"),
    (52, "a gate's webhook that fails: gates are approvals of people, no webhook is called"),
];
