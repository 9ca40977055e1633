//! Templates filled in with values of every kind; random ones keep the query's shape.

use proptest::prelude::*;

use super::*;

fn with(value: &str) -> impl Fn(&Placeholder) -> Value + use<'_> {
    move |placeholder| match placeholder {
        Placeholder::Argument(_) => Value::Text(value.to_owned()),
        Placeholder::Pods => Value::Regex("checkout-abc-.*".into()),
        _ => Value::Keep,
    }
}

#[test]
fn values_are_escaped_for_the_place_they_stand_in() {
    for (template, value, expected) in [
        (r#"a{b="{{ args.x }}"}"#, "plain", r#"a{b="plain"}"#),
        (r#"a{b="{{args.x}}"}"#, r#"x"} or vector(1) #"#, r#"a{b="x\"} or vector(1) #"}"#),
        (r#"a{b='{{ args.x }}'}"#, r#"it's "q" \"#, r#"a{b='it\'s "q" \\'}"#),
        (r#"a{b="{{ args.x }}"}"#, "a\nb\tc\u{1}", r#"a{b="a\nb\tc\x01"}"#),
        (r#"a{b=~"^{{ args.x }}$"}"#, "a.b|c", r#"a{b=~"^a\\.b\\|c$"}"#),
        (r#"a{b!~`{{ args.x }}`}"#, "a b", r#"a{b!~`a b`}"#),
        (r#"a # "{{ args.x }}""#, "5", r#"a # "{{ args.x }}""#),
        (r#"a{b="{{ args.x }}-{{ args.x }}"}"#, "hole0x", r#"a{b="hole0x-hole0x"}"#),
        (r#"a{pod=~"{{ pods }}"}"#, "", r#"a{pod=~"checkout-abc-.*"}"#),
        (r#"a{b="{{ service }}", c="{{ args.x }}"}"#, "z", r#"a{b="{{ service }}", c="z"}"#),
        (r#"sum(rate(a{b="{{ args.x }}"}[5m])) / 2"#, "z", r#"sum(rate(a{b="z"}[5m])) / 2"#),
    ] {
        assert_eq!(fill(template, &with(value)).as_deref(), Ok(expected), "{template} {value}");
    }
}

#[test]
fn placeholders_stand_for_label_values_only() {
    for template in [
        "{{ args.x }}",
        r#"a{ {{ args.x }}="b"}"#,
        "a[{{ args.x }}]",
        r#"sum by ({{ args.x }}) (a)"#,
        r#"label_replace(a, "x", "{{ args.x }}", "y", "z")"#,
    ] {
        assert!(fill(template, &with("5m")).is_err(), "{template}");
    }
    let not_a_value = QueryError::NotAValue("{{ args.x }}".into());
    assert_eq!(fill(r#"count_values("{{ args.x }}", a)"#, &with("v")), Err(not_a_value));
}

#[test]
fn what_cannot_be_written_is_refused_by_name() {
    let unwritable = || Err(QueryError::Unwritable("{{ args.x }}".into()));
    assert_eq!(fill("a{b=`{{ args.x }}`}", &with("`")), unwritable());
    assert_eq!(fill("a{b=~`{{ args.x }}`}", &with("a.b")), unwritable());
    assert_eq!(fill(r#"a{b="{{ args.x }}"}"#, &with("{{ service }}")), unwritable());
    assert_eq!(fill(r#"a{b="{{ pods }}"}"#, &with("")), Err(QueryError::NotARegex("{{ pods }}".into())));
    assert_eq!(fill(r#"a{b="{{ pod }}"}"#, &with("")), Err(QueryError::Unknown("pod".into())));
    assert_eq!(fill(r#"a{b="{{ args.x }}"}"#, &with(&"x".repeat(9_000))), Err(QueryError::TooLong(9_007)));
    assert!(matches!(fill("a{", &with("")), Err(QueryError::Syntax(_))));
}

#[test]
fn a_tree_as_deep_as_its_text_is_long_is_not_parsed() {
    for part in ["(", "-", "1+", "a or ", "a UNLESS ", "sum(", "a^"] {
        let query = format!("{}a", part.repeat(8_000 / part.len()));
        assert!(matches!(fill(&query, &with("")), Err(QueryError::TooDeep(_))), "{part}");
    }
    let deep = format!("{}a{}", "(".repeat(500), ")".repeat(500));
    assert_eq!(fill(&deep, &with("")), Ok(deep), "this much can be walked");
}

#[test]
fn only_plain_selectors_are_read_raw() {
    for query in ["a", r#"a{b="c"}"#, r#"{__name__="a"}"#, "a # the counter"] {
        assert!(check_selector(query).is_ok(), "{query}");
    }
    for query in ["rate(a[5m])", "a[5m]", "a offset 5m", "a @ 1", "a + b", "1", "sum(a)", "(a)", r#"a{b="c" or d="e"}"#]
    {
        assert_eq!(check_selector(query), Err(QueryError::NotASelector), "{query}");
    }
}

proptest! {
    /// Whatever an argument holds, the query keeps its shape: the same tree, with exactly that value in that matcher.
    #[test]
    fn an_argument_never_changes_the_query(bytes in proptest::collection::vec(any::<u8>(), 0..64), quote in 0..3usize, regex: bool) {
        let value = String::from_utf8_lossy(&bytes).into_owned();
        let (quote, operator) = (["\"", "'", "`"][quote], if regex { "=~" } else { "=" });
        let template = format!("sum(rate(a{{b{operator}{quote}{{{{ args.x }}}}{quote},c=\"d\"}}[5m])) > 3");
        if let Ok(query) = fill(&template, &with(&value)) {
            let plain = tree(&fill(&template, &with("x")).unwrap()).unwrap();
            let filled = tree(&query).unwrap();
            prop_assert_eq!(&filled.shape, &plain.shape);
            let held = if regex { escape_regex(&value) } else { value.clone() };
            prop_assert_eq!(&filled.matchers[0], &("b".to_owned(), if regex { "=~" } else { "=" }, held));
            prop_assert_eq!(&filled.matchers[1..], &plain.matchers[1..]);
        } else {
            prop_assert!(value.contains("{{") || quote == "`", "{:?} is refused without need", value);
        }
    }

    /// The same for texts made of what PromQL gives meaning to.
    #[test]
    fn nor_does_one_made_of_syntax(value in r#"["'`\\{}\[\](),=~!#\n a0or]{0,40}"#) {
        let template = r#"a{b="{{ args.x }}"} / a{b='{{ args.x }}'}"#;
        if let Ok(query) = fill(template, &with(&value)) {
            let held: Vec<_> = tree(&query).unwrap().matchers.into_iter().map(|(_, _, held)| held).collect();
            prop_assert_eq!(held, [value.clone(), value.clone()]);
        }
    }
}
