//! The placeholders of a query template: where they stand and what they are called.
//!
//! It knows no values and does not parse PromQL.

/// What a placeholder stands for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Placeholder {
    Namespace,
    Service,
    Revision,
    /// A regular expression that matches the names of an arm's pods.
    Pods,
    /// The proxy's name for an arm's backend: `<namespace>_<service>_<port>`.
    RouteCluster,
    /// An argument of the template.
    Argument(String),
}

impl Placeholder {
    fn read(name: &str) -> Option<Self> {
        match name {
            "namespace" => Some(Self::Namespace),
            "service" => Some(Self::Service),
            "revision" => Some(Self::Revision),
            "pods" => Some(Self::Pods),
            "route.cluster" => Some(Self::RouteCluster),
            _ => name.strip_prefix("args.").filter(|name| is_word(name)).map(|name| Self::Argument(name.to_owned())),
        }
    }

    /// As it is written.
    pub fn written(&self) -> String {
        match self {
            Self::Namespace => "{{ namespace }}".into(),
            Self::Service => "{{ service }}".into(),
            Self::Revision => "{{ revision }}".into(),
            Self::Pods => "{{ pods }}".into(),
            Self::RouteCluster => "{{ route.cluster }}".into(),
            Self::Argument(name) => format!("{{{{ args.{name} }}}}"),
        }
    }
}

/// Whether a template has this placeholder.
pub fn uses(template: &str, placeholder: &Placeholder) -> bool {
    let is_it = |piece: &Piece| matches!(piece, Piece::Hole { placeholder: found, .. } if found == placeholder);
    split(template).is_ok_and(|pieces| pieces.iter().any(is_it))
}

fn is_word(name: &str) -> bool {
    !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte))
}

/// A part of a template.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Piece {
    Text(String),
    Hole {
        placeholder: Placeholder,
        /// The quote of the string it stands in; None: it stands in no string.
        quote: Option<char>,
    },
}

/// Split a template; an unknown placeholder is its name.
pub fn split(template: &str) -> Result<Vec<Piece>, String> {
    let (mut pieces, mut text, mut quote) = (Vec::new(), String::new(), None);
    let mut rest = template;
    while let Some(next) = rest.chars().next() {
        if let Some((inside, after)) = rest.strip_prefix("{{").and_then(|inner| inner.split_once("}}")) {
            let name: String = inside.trim().chars().take(64).collect();
            let placeholder = Placeholder::read(&name).ok_or(name)?;
            pieces.push(Piece::Text(std::mem::take(&mut text)));
            pieces.push(Piece::Hole { placeholder, quote });
            rest = after;
            continue;
        }
        let mut taken = next.len_utf8();
        match quote {
            None if matches!(next, '"' | '\'' | '`') => quote = Some(next),
            // Outside a string a comment runs to the end of its line; a quote in it opens nothing.
            None if next == '#' => taken = rest.find('\n').unwrap_or(rest.len()),
            Some('`') if next == '`' => quote = None,
            Some(open) if open != '`' && next == '\\' => {
                taken += rest[taken..].chars().next().map_or(0, char::len_utf8);
            }
            Some(open) if next == open => quote = None,
            _ => {}
        }
        text.push_str(&rest[..taken]);
        rest = &rest[taken..];
    }
    pieces.push(Piece::Text(text));
    Ok(pieces)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn holes_know_the_string_they_stand_in() {
        let quotes = |template: &str| -> Vec<Option<char>> {
            let pieces = split(template).unwrap().into_iter();
            pieces.filter_map(|piece| if let Piece::Hole { quote, .. } = piece { Some(quote) } else { None }).collect()
        };
        assert_eq!(quotes(r#"a{b="{{ service }}",c='{{revision}}'}"#), [Some('"'), Some('\'')]);
        assert_eq!(quotes(r#"a{b="x\"{{ service }}"} + {{ namespace }}"#), [Some('"'), None]);
        assert_eq!(quotes("a{b=~`\\{{ pods }}`}"), [Some('`')]);
        assert_eq!(quotes("# it's {{ not one }}\na{b=\"{{ args.x }}\"}"), [Some('"')]);
    }

    #[test]
    fn unknown_placeholders_are_named() {
        for name in ["x", "args.", "args.a b", "", "Service", "route.Cluster"] {
            assert_eq!(split(&format!("a{{b=\"{{{{ {name} }}}}\"}}")), Err(name.to_owned()));
        }
    }

    #[test]
    fn what_is_written_is_read_again() {
        for template in ["{{ namespace }}", "{{ service }}", "{{ revision }}", "{{ pods }}", "{{ route.cluster }}"] {
            let Piece::Hole { placeholder, .. } = &split(template).unwrap()[1] else { panic!() };
            assert_eq!(placeholder.written(), template);
        }
    }
}
