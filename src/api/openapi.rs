//! The document that describes the face to other programs (OpenAPI 3.1). Tests hold it to the code.

/// The document, in JSON.
pub const OPENAPI: &str = include_str!("openapi.json");

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use serde_json::Value;

    use super::*;
    use crate::api::{call::OPERATIONS, problem::ProblemKind};

    fn document() -> Value {
        serde_json::from_str(OPENAPI).unwrap()
    }

    #[test]
    fn every_operation_and_status_is_in_the_document_and_no_other() {
        let document = document();
        let mut told = BTreeSet::new();
        for (path, methods) in document["paths"].as_object().unwrap() {
            for (method, operation) in methods.as_object().unwrap() {
                for status in operation["responses"].as_object().unwrap().keys() {
                    told.insert(format!("{} {path} {status}", method.to_uppercase()));
                }
            }
        }
        let own: BTreeSet<String> = OPERATIONS
            .iter()
            .flat_map(|row| {
                row.statuses.iter().map(|status| format!("{} {} {status}", row.method.text(), row.path))
            })
            .collect();
        assert_eq!(told, own);
    }

    #[test]
    fn every_code_is_in_the_document_and_no_other() {
        let document = document();
        let codes = document["components"]["schemas"]["Code"]["enum"].as_array().unwrap();
        let codes: Vec<&str> = codes.iter().map(|code| code.as_str().unwrap()).collect();
        assert_eq!(codes, ProblemKind::TABLE.map(|(_, code, _)| code));
    }

    #[test]
    fn every_reference_leads_to_a_schema_and_every_schema_is_used() {
        fn references<'v>(value: &'v Value, found: &mut BTreeSet<&'v str>) {
            match value {
                Value::Object(map) => {
                    found.extend(map.get("$ref").and_then(Value::as_str));
                    map.values().for_each(|value| references(value, found));
                }
                Value::Array(items) => items.iter().for_each(|item| references(item, found)),
                _ => {}
            }
        }
        let document = document();
        let mut found = BTreeSet::new();
        references(&document, &mut found);
        let schemas = document["components"]["schemas"].as_object().unwrap().keys();
        let schemas: BTreeSet<String> = schemas.map(|name| format!("#/components/schemas/{name}")).collect();
        assert_eq!(found, schemas.iter().map(String::as_str).collect());
    }
}
