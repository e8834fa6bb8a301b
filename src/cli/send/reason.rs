//! Why a node refused a line: it does not say, so its own parser is asked here. Pure.

use super::replies::Refusal;
use crate::{
    config::{Herd, PlacesSource},
    places::Form,
    protocol::{Invalid, QueryLimits, Request},
};

/// The most that is shown of a line.
const SHOWN_CHARS_MAX: usize = 200;

/// By what a node judges lines, as far as that is known here.
pub(super) struct Rules {
    limits: QueryLimits,
    /// Whether it answers WHATSAT, where its configuration is known.
    has_places: Option<bool>,
}

impl Rules {
    /// Those of a node of this herd; without a configuration the usual ones.
    pub(super) fn of(herd: Option<&Herd>) -> Self {
        let source = herd.map(|herd| herd.places.source);
        let form = if source == Some(PlacesSource::Tweets) { Form::TWEETS } else { Form::PLACES };
        let Form { radius_km_max, bound_max, .. } = form;
        let limits = QueryLimits { radius_km_max, bound_max };
        Self { limits, has_places: source.map(|source| source != PlacesSource::None) }
    }

    /// `line 3: the radius is over 50 km: WHATSAT x 99 5`
    pub(super) fn text(&self, refusal: &Refusal<'_>) -> String {
        let Refusal { number, line, length } = refusal;
        let reason = match length {
            Some(length) => format!("its {length} bytes are over the node's limit (line_bytes)"),
            None => self.reason(line),
        };
        let text = String::from_utf8_lossy(line);
        let mut shown: String = text.chars().take(SHOWN_CHARS_MAX).collect();
        if length.is_some() || text.chars().nth(SHOWN_CHARS_MAX).is_some() {
            shown.push('…');
        }
        format!("line {number}: {reason}: {shown}")
    }

    fn reason(&self, line: &[u8]) -> String {
        let without_limits = QueryLimits { radius_km_max: u64::MAX, bound_max: u64::MAX };
        let has_fault = |fault| Request::parse(line, &without_limits) == Err(fault);
        let QueryLimits { radius_km_max, bound_max } = self.limits;
        match Request::parse(line, &self.limits) {
            Err(Invalid::Radius) if has_fault(Invalid::Radius) => {
                "the radius is not a plain decimal number, such as 10 or 10.5".to_owned()
            }
            Err(Invalid::Radius) => format!("the radius is over {radius_km_max} km"),
            Err(Invalid::Bound) if has_fault(Invalid::Bound) => {
                "the bound is not a plain whole number, such as 5".to_owned()
            }
            Err(Invalid::Bound) => format!("the bound is over {bound_max}"),
            Err(why) => why.to_string(),
            Ok(Request::Whatsat(_)) => match self.has_places {
                Some(false) => Invalid::NoPlaces.to_string(),
                Some(true) => format!("{}; report one with IAMAT first", Invalid::UnknownClient),
                None => format!("{}, or the node has no places; its log says which", Invalid::UnknownClient),
            },
            Ok(Request::Iamat(_)) => {
                "the line is valid, but over a limit of the node's, such as max_ahead_seconds or max_clients; its log says which"
                    .to_owned()
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rules(source: Option<PlacesSource>) -> Rules {
        let herd = source.map(|source| {
            let mut herd = Herd::embedded();
            herd.places.source = source;
            herd
        });
        Rules::of(herd.as_ref())
    }

    fn reason(rules: &Rules, line: &str) -> String {
        let refusal = Refusal { number: 3, line: line.as_bytes(), length: None };
        let text = rules.text(&refusal);
        let reason = text.strip_prefix("line 3: ").unwrap();
        reason.strip_suffix(&format!(": {line}")).unwrap_or_else(|| panic!("{text}")).to_owned()
    }

    #[test]
    fn each_kind_of_wrong_line_has_its_reason() {
        let embedded = rules(Some(PlacesSource::Embedded));
        for (line, begin) in [
            ("", "the line is empty"),
            ("iamat x +1+1 1", "the first field is neither"),
            ("WHATSAT x 10", "the command does not have exactly four fields"),
            ("IAMAT x 1+1 1", "the location is not"),
            ("IAMAT x +1+1 now", "the timestamp is not"),
            ("WHATSAT x 99 5", "the radius is over 50 km"),
            ("WHATSAT x 50.0001 99", "the radius is over 50 km"),
            ("WHATSAT x -1 5", "the radius is not a plain decimal number"),
            ("WHATSAT x 10 21", "the bound is over 20"),
            ("WHATSAT x 10 5.0", "the bound is not a plain whole number"),
            ("WHATSAT x 10 5", "no location is known for that client"),
            ("IAMAT x +1+1 1", "the line is valid, but over a limit"),
        ] {
            assert!(reason(&embedded, line).starts_with(begin), "{line}: {}", reason(&embedded, line));
        }
    }

    #[test]
    fn what_may_be_asked_depends_on_the_source_of_places() {
        let tweets = rules(Some(PlacesSource::Tweets));
        assert!(reason(&tweets, "WHATSAT x 99 5").starts_with("no location is known"));
        assert_eq!(reason(&tweets, "WHATSAT x 20017 5"), "the radius is over 20016 km");
        assert!(reason(&rules(Some(PlacesSource::None)), "WHATSAT x 10 5").contains("no source of places"));
        assert!(reason(&rules(None), "WHATSAT x 10 5").ends_with("its log says which"));
    }

    #[test]
    fn long_lines_are_shown_in_part() {
        let long = Refusal { number: 1, line: &[b'x'; 64], length: Some(20_000) };
        let text = rules(None).text(&long);
        assert_eq!(
            text,
            format!("line 1: its 20000 bytes are over the node's limit (line_bytes): {}…", "x".repeat(64))
        );
        let long = Refusal { number: 1, line: &[b'x'; 1_000], length: None };
        assert!(rules(None).text(&long).ends_with(&format!(": {}…", "x".repeat(200))));
    }
}
