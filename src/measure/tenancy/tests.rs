//! Queries of tenants: what passes, what is added, what is refused.

use proptest::prelude::*;

use super::*;

fn tenancy(rules: &[(&str, Option<&str>)]) -> Tenancy {
    let rule = |(label, prefix): &(&str, Option<&str>)| TenancyRule {
        label: (*label).into(),
        prefix: prefix.map(str::to_owned),
    };
    Tenancy::new(&rules.iter().map(rule).collect::<Vec<_>>(), "shop")
}

fn by_namespace() -> Tenancy {
    tenancy(&[("namespace", None)])
}

fn by_cluster() -> Tenancy {
    tenancy(&[("envoy_cluster_name", Some("{{ namespace }}_"))])
}

#[test]
fn the_label_is_added_to_every_selector_that_lacks_it() {
    for (query, expected) in [
        ("a", r#"a{namespace="shop"}"#),
        (r#"a{namespace="shop"}"#, r#"a{namespace="shop"}"#),
        (r#"a{b="c"}"#, r#"a{b="c",namespace="shop"}"#),
        (r#"{__name__="a"}"#, r#"{__name__="a",namespace="shop"}"#),
        (r#"{__name__=~".+"}"#, r#"{__name__=~".+",namespace="shop"}"#),
        (r#"a{namespace=~".*"}"#, r#"a{namespace="shop",namespace=~".*"}"#),
        (r#"a{namespace=~"shop|pay"}"#, r#"a{namespace="shop",namespace=~"shop|pay"}"#),
        (r#"a{namespace!="shop"}"#, r#"a{namespace!="shop",namespace="shop"}"#),
        (r#"a{namespace!~"x"}"#, r#"a{namespace!~"x",namespace="shop"}"#),
        ("rate(a[5m])", r#"rate(a{namespace="shop"}[5m])"#),
        ("a offset 5m", r#"a{namespace="shop"} offset 5m"#),
        ("a @ end()", r#"a{namespace="shop"} @ end()"#),
        ("a or vector(0)", r#"a{namespace="shop"} or vector(0)"#),
        ("a and on (x) b", r#"a{namespace="shop"} and on (x) b{namespace="shop"}"#),
        ("a unless b", r#"a{namespace="shop"} unless b{namespace="shop"}"#),
        ("max_over_time(a[1h:1m])", r#"max_over_time(a{namespace="shop"}[1h:1m])"#),
        ("(a)[1h:1m] offset 1h", r#"(a{namespace="shop"})[1h:1m] offset 1h"#),
        ("-a", r#"-a{namespace="shop"}"#),
        ("sum by (x) (avg(a))", r#"sum by (x) (avg(a{namespace="shop"}))"#),
        ("topk(scalar(b), a)", r#"topk(scalar(b{namespace="shop"}), a{namespace="shop"})"#),
        ("quantile(scalar(sum(b)), a)", r#"quantile(scalar(sum(b{namespace="shop"})), a{namespace="shop"})"#),
        ("absent(a)", r#"absent(a{namespace="shop"})"#),
        (
            r#"label_replace(a, "namespace", "shop", "", "")"#,
            r#"label_replace(a{namespace="shop"}, "namespace", "shop", "", "")"#,
        ),
        ("vector(1) + time()", "vector(1) + time()"),
        ("a # {namespace=\"shop\"}", r#"a{namespace="shop"}"#),
        (r#"a{b="c\"d\\n"}"#, r#"a{b="c\"d\\n",namespace="shop"}"#),
    ] {
        assert_eq!(by_namespace().limit(query).as_deref(), Ok(expected), "{query}");
    }
}

#[test]
fn a_prefix_is_refused_to_be_guessed() {
    for query in [
        r#"a{envoy_cluster_name="shop_checkout_80"}"#,
        r#"sum(rate(a{envoy_cluster_name="shop_checkout_80"}[5m]))"#,
        r#"a{envoy_cluster_name=~"shop_.*"}"#,
        r#"a{envoy_cluster_name=~"^shop_(a|b)_80"}"#,
        r#"a{envoy_cluster_name="shop_x",envoy_cluster_name=~".*"}"#,
    ] {
        assert_eq!(by_cluster().limit(query).as_deref(), Ok(query), "{query}");
    }
    for query in [
        "a",
        r#"a{envoy_cluster_name="pay_checkout_80"}"#,
        r#"a{envoy_cluster_name="shop"}"#,
        r#"a{envoy_cluster_name="shop-eu_x"}"#,
        r#"a{envoy_cluster_name=~".*"}"#,
        r#"a{envoy_cluster_name=~"shop_.*|pay_.*"}"#,
        r#"a{envoy_cluster_name=~"shop_?.*"}"#,
        r#"a{envoy_cluster_name!="shop_x"}"#,
        r#"a{envoy_cluster_name!~"shop_.*"}"#,
        r#"a{namespace="shop"}"#,
        r#"a{envoy_cluster_name="shop_x"} or b"#,
        r#"topk(scalar(b), a{envoy_cluster_name="shop_x"})"#,
        r#"max_over_time((a{envoy_cluster_name="shop_x"} + b)[1h:1m])"#,
    ] {
        let error = by_cluster().limit(query).unwrap_err().to_string();
        assert!(error.contains(r#"wants envoy_cluster_name that begins with "shop_""#), "{query}: {error}");
    }
}

#[test]
fn of_several_rules_one_must_hold_and_another_namespace_is_not_overwritten() {
    let both =
        tenancy(&[("envoy_cluster_name", Some("{{ namespace }}_")), ("namespace", None), ("exported_namespace", None)]);
    for (query, expected) in [
        (r#"a{envoy_cluster_name="shop_x"}"#, r#"a{envoy_cluster_name="shop_x"}"#),
        (r#"a{exported_namespace="shop"}"#, r#"a{exported_namespace="shop"}"#),
        (
            r#"a{namespace="ingress",envoy_cluster_name="shop_x"}"#,
            r#"a{envoy_cluster_name="shop_x",namespace="ingress"}"#,
        ),
        (r#"a{envoy_cluster_name="pay_x"}"#, r#"a{envoy_cluster_name="pay_x",namespace="shop"}"#),
        ("a + b", r#"a{namespace="shop"} + b{namespace="shop"}"#),
    ] {
        assert_eq!(both.limit(query).as_deref(), Ok(expected), "{query}");
    }
    for query in [r#"a{namespace="pay"}"#, r#"a{exported_namespace="pay"}"#, r#"a{namespace=""}"#] {
        let error = both.limit(query).unwrap_err().to_string();
        assert!(error.contains(r#"or namespace="shop", or exported_namespace="shop""#), "{query}: {error}");
    }
}

#[test]
fn what_cannot_be_limited_is_refused() {
    let or = |selector: &str| TenancyError::Or { selector: selector.into() };
    assert_eq!(by_namespace().limit(r#"a{namespace="shop" or b="c"}"#), Err(or(r#"a{namespace="shop" or b="c"}"#)));
    assert_eq!(by_namespace().limit("info(a)"), Err(TenancyError::Implicit));
    assert_eq!(by_namespace().limit("sum(info(a))"), Err(TenancyError::Implicit));
    assert!(matches!(by_namespace().limit("a{"), Err(TenancyError::Query(QueryError::Syntax(_)))));
    assert!(matches!(by_namespace().limit(&"a".repeat(9_000)), Err(TenancyError::Query(QueryError::TooLong(9_000)))));
    assert_eq!(by_namespace().limit("sum by () (a)"), Err(TenancyError::Unwritable));
}

#[test]
fn without_rules_a_query_is_sent_as_it_is_written() {
    let query = "a{b=`c`} # as it is";
    assert_eq!(tenancy(&[]).limit(query).as_deref(), Ok(query));
}

#[test]
fn no_text_is_sent_that_two_parsers_may_read_in_two_ways() {
    // Between backticks a server takes a backslash for itself.
    for (query, expected) in [
        (r"a{b=`c`}", r#"a{b="c",namespace="shop"}"#),
        (r"a{b=`c\\d`}", r#"a{b="c\\\\d",namespace="shop"}"#),
        (r"a{b='`'}", r#"a{b="`",namespace="shop"}"#),
        ("a{b=\"c\" # }\n}", r#"a{b="c",namespace="shop"}"#),
        (r#"a{b="\x22\u007d\142"}"#, r#"a{b="\"}b",namespace="shop"}"#),
    ] {
        assert_eq!(by_namespace().limit(query).as_deref(), Ok(expected), "{query}");
    }
}

/// A query of every kind of expression, at random.
fn expression() -> impl Strategy<Value = String> {
    let matcher = prop_oneof![
        Just(String::new()),
        Just(r#"{b="c"}"#.to_owned()),
        Just(r#"{namespace="shop"}"#.to_owned()),
        Just(r#"{namespace=~".*"}"#.to_owned()),
        Just(r#"{namespace!="shop",b=~"x|y"}"#.to_owned()),
        Just(r#"{b='it\'s "q" \\',c=`d`}"#.to_owned()),
        "[ -~]{0,12}".prop_map(|value| format!("{{b={value:?}}}")),
    ];
    let leaf = prop_oneof![
        4 => ("[a-c]", matcher).prop_map(|(name, matchers)| format!("{name}{matchers}")),
        1 => Just("vector(1)".to_owned()),
    ];
    leaf.prop_recursive(4, 24, 2, |inner| {
        let two = (inner.clone(), inner.clone());
        prop_oneof![
            two.clone().prop_map(|(a, b)| format!("({a}) or ({b})")),
            two.clone().prop_map(|(a, b)| format!("{a} + on (x) group_left {b}")),
            two.clone().prop_map(|(a, b)| format!("topk(scalar({a}), {b})")),
            two.prop_map(|(a, b)| format!("({a} > bool {b})")),
            inner.clone().prop_map(|a| format!("-({a})")),
            inner.clone().prop_map(|a| format!("sum without (x) ({a})")),
            inner.clone().prop_map(|a| format!("max_over_time(({a})[1h:1m] offset 5m)")),
            inner.clone().prop_map(|a| format!(r#"label_replace({a}, "x", "$1", "y", "(.*)")"#)),
            inner.prop_map(|a| format!("histogram_quantile(0.9, sum by (le) ({a}))")),
        ]
    })
}

proptest! {
    /// Every selector of what is sent names the namespace, and apart from that it is the query that was given.
    #[test]
    fn no_selector_of_any_query_is_without_its_namespace(query in expression()) {
        let Ok(sent) = by_namespace().limit(&query) else {
            prop_assert!(parse(&query).is_err(), "{query} is refused");
            return Ok(());
        };
        let selectors = sent.matches(r#"namespace="shop""#).count();
        let mut again = parse(&sent).unwrap();
        by_namespace().limit_tree(&mut again).unwrap();
        prop_assert_eq!(&again.to_string(), &sent, "nothing more is to be added");
        let named = sent.split(|letter: char| !letter.is_alphanumeric()).filter(|word| ["a", "b", "c"].contains(word)).count();
        prop_assert!(selectors > 0 || named == 0, "{}", sent);
        prop_assert_eq!(by_namespace().limit(&sent), Ok(sent));
    }
}
