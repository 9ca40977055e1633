//! Names near a name that does not exist, for hints.

/// Names shown at most.
const MOST: usize = 5;

/// "Did you mean checkout?", or what there is; `none` if there is nothing.
pub fn hint(name: &str, known: &[String], none: &str) -> Option<String> {
    if known.is_empty() {
        return Some(none.to_owned());
    }
    let near = near(name, known);
    Some(match near.as_slice() {
        [] => format!("There is {}", listed(known)),
        near => format!("Did you mean {}?", near.join(" or ")),
    })
}

/// Names with commas, and how many more there are.
pub fn listed(known: &[String]) -> String {
    let shown = known.iter().take(MOST).cloned().collect::<Vec<_>>().join(", ");
    match known.len().saturating_sub(MOST) {
        0 => shown,
        more => format!("{shown} and {more} more"),
    }
}

/// Names that contain it, are contained in it, or differ by a third of its characters at most; nearest first.
fn near(name: &str, known: &[String]) -> Vec<String> {
    let allowed = (name.chars().count() / 3).max(1);
    let distance = |other: &String| {
        let contained = name.len() > 2 && (other.contains(name) || name.contains(other.as_str()));
        if contained { 1 } else { edits(name, other) }
    };
    let mut found: Vec<_> = known.iter().map(|other| (distance(other), other.clone())).collect();
    found.retain(|(distance, _)| *distance <= allowed);
    found.sort();
    found.into_iter().take(MOST).map(|(_, other)| other).collect()
}

/// Levenshtein's distance: characters to insert, delete or replace.
fn edits(left: &str, right: &str) -> usize {
    let right: Vec<char> = right.chars().collect();
    let mut row: Vec<usize> = (0..=right.len()).collect();
    for (index, one) in left.chars().enumerate() {
        let mut diagonal = row[0];
        row[0] = index + 1;
        for (column, other) in right.iter().enumerate() {
            let replaced = diagonal + usize::from(one != *other);
            diagonal = row[column + 1];
            row[column + 1] = replaced.min(row[column] + 1).min(diagonal + 1);
        }
    }
    row[right.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn near_names_are_offered_and_else_all() {
        let known: Vec<String> = ["checkout", "checkout-eu", "cart", "search"].map(String::from).to_vec();
        for (name, text) in [
            ("chekout", "Did you mean checkout?"),
            ("checkou", "Did you mean checkout or checkout-eu?"),
            ("card", "Did you mean cart?"),
            ("payments", "There is checkout, checkout-eu, cart, search"),
        ] {
            assert_eq!(hint(name, &known, "nothing").unwrap(), text);
        }
        assert_eq!(hint("cart", &[], "nothing").unwrap(), "nothing");
    }

    #[test]
    fn distances_count_edits() {
        for (left, right, distance) in [("", "abc", 3), ("kitten", "sitting", 3), ("cart", "cart", 0)] {
            assert_eq!(edits(left, right), distance);
        }
    }
}
