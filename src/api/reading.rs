//! Calls that change nothing: a client, all of them, what is near one, the herd.

use serde::Deserialize;
use serde_json::json;

use super::{
    ApiAnswer,
    body::no_id,
    call::{count, seconds},
    exchange::{ApiExchange, CallStage, no_token},
    numbers::plain_number,
    pages::{ClientPage, PageRequest, PageStart},
    problem::{Problem, ProblemKind},
    view::{self, LocationForm},
};
use crate::core::{
    access::Act,
    dialogue::Looked,
    model::{ClientId, Coordinates, Now, OwnedLocation, Query, Tick},
    store::KeyHash,
    wire::{Invalid, Whatsat},
};

/// How many clients a page has, and how many places an answer, if the call does not say.
const CLIENTS: usize = 100;
const PLACES: &[u8] = b"20";
/// Within how many kilometres places are looked for, if the call does not say.
const KM: &[u8] = b"10";

/// A call that waits for a client's next report.
#[derive(Debug)]
pub(super) struct Watching {
    pub(super) key: KeyHash,
    pub(super) until: Tick,
    client: Vec<u8>,
    /// The tag of what is known already.
    known: Option<String>,
}

/// A call that waits for places.
#[derive(Debug)]
pub(super) struct Looking {
    pub(super) query: Query,
    pub(super) document: Vec<u8>,
    /// Around whom, as it is told.
    location: Option<Vec<u8>>,
}

impl ApiExchange<'_> {
    fn form(&self) -> LocationForm {
        if self.call.wants_geojson() { LocationForm::GeoJson } else { LocationForm::Json }
    }

    /// `GET /v1/clients/{id}`
    pub(super) fn get(&self, now: Now) -> Result<CallStage, Problem> {
        let [wait] = self.call.values(["wait"])?;
        let wait = wait.map(|wait| seconds("wait", wait, self.face.bounds.wait)).transpose()?;
        let client = self.client()?;
        let (key, client) = (self.node.key(client), client.as_bytes().to_vec());
        let mut watching = Watching { key, until: now.tick, client, known: None };
        if let Some(wait) = wait {
            watching.until = now.tick + wait;
            let seen = self.see(&watching)?;
            let etag = seen.map(|(_, etag)| etag);
            // Whoever says what it has wants anything else, and whoever does not the next.
            watching.known = match &self.call.if_none_match {
                Some(_) => etag.filter(|etag| self.call.has(etag)),
                None => etag,
            };
        }
        Ok(self.watch(watching, now))
    }

    /// Answers if there is something new, or it is time.
    pub(super) fn watch(&self, watching: Watching, now: Now) -> CallStage {
        let seen = match self.see(&watching) {
            Ok(seen) => seen,
            Err(problem) => return self.over(problem.answer()),
        };
        let is_new = seen.as_ref().is_some_and(|(_, etag)| Some(etag) != watching.known.as_ref());
        if !is_new && now.tick < watching.until {
            return CallStage::Watching(watching);
        }
        let Some((body, etag)) = seen else { return self.over(Problem::unknown_client().answer()) };
        let is_known = self.call.if_none_match.is_some() && self.call.has(&etag);
        let mut answer = match is_known {
            true => ApiAnswer::new(304, super::JSON, Vec::new()),
            false => self.in_form(body),
        };
        answer.headers = vec![("ETag", etag), ("Vary", "Accept".to_owned())];
        self.over(answer)
    }

    fn in_form(&self, body: Vec<u8>) -> ApiAnswer {
        let media = if self.form() == LocationForm::Json { super::JSON } else { super::GEOJSON };
        ApiAnswer::new(200, media, body)
    }

    /// What may be told of the client. Of one that may not be seen nothing is looked at, whether there is one or not.
    fn see(&self, watching: &Watching) -> Result<Option<(Vec<u8>, String)>, Problem> {
        let Some(client) = ClientId::new(&watching.client) else { return Ok(None) };
        if !self.may(Act::See(client))? {
            return Ok(None);
        }
        let (mut found, form) = (OwnedLocation::default(), self.form());
        let known = self.node.store().get(watching.key, client, |location| found.copy_from(location));
        let location = found.of(client);
        Ok(known.map(|()| (view::location(&location, form), view::etag(&location, form))))
    }

    /// `GET /v1/clients`
    pub(super) fn list(&self) -> Result<ApiAnswer, Problem> {
        let [prefix, limit, after] = self.call.values(["prefix", "limit", "after"])?;
        self.may_ask()?;
        let bounds = &self.face.bounds;
        let limit = count("limit", limit, CLIENTS, bounds.page_clients)?;
        let start = match after {
            None => PageStart::default(),
            Some(text) => self.face.cursors.open(text).ok_or_else(|| {
                Problem::malformed("after is no cursor of this node since its start; begin again without it")
            })?,
        };
        let (prefix, form) = (prefix.unwrap_or_default(), self.form());
        let page = PageRequest { prefix, limit, start, form };
        let page = ClientPage::read(self.node, bounds, self.principal.as_ref(), &page);
        let mut answer = self.in_form(page.write(form, &self.face.cursors));
        answer.headers = vec![("Vary", "Accept".to_owned())];
        Ok(answer)
    }

    /// Whether it may ask what concerns no client in particular: with any token, or where clients need none.
    fn may_ask(&self) -> Result<(), Problem> {
        let anybody = ClientId::new(b"-").ok_or_else(no_id)?;
        if self.principal.is_some() || self.may(Act::See(anybody))? { Ok(()) } else { Err(no_token()) }
    }

    /// `GET /v1/clients/{id}/places`
    pub(super) fn near_client(&self) -> Result<CallStage, Problem> {
        let [km, limit] = self.call.values(["km", "limit"])?;
        let client = self.client()?;
        let asked = self.whatsat(client, km, limit)?;
        if self.node.lookups().is_none() {
            return Err(Problem::of(Invalid::NoPlaces));
        }
        if !self.may(Act::See(client))? {
            return Err(Problem::unknown_client());
        }
        let mut found = OwnedLocation::default();
        let query = self.node.locate(&asked, self.node.key(client), &mut found).map_err(Problem::of)?;
        let location = Some(view::location(&found.of(client), LocationForm::Json));
        Ok(CallStage::Looking(Looking { query, document: Vec::new(), location }))
    }

    /// `GET /v1/places`
    pub(super) fn near_point(&self) -> Result<CallStage, Problem> {
        let [lat, lng, km, limit] = self.call.values(["lat", "lng", "km", "limit"])?;
        self.may_ask()?;
        let degrees = |name: &str, value: Option<&[u8]>, most: f64| {
            let text = value.and_then(|value| std::str::from_utf8(value).ok()).and_then(plain_number);
            let degrees = text.and_then(|text| text.parse().ok());
            let degrees = degrees.filter(|degrees: &f64| degrees.abs() <= most);
            degrees.ok_or_else(|| Problem::malformed(format!("{name} is not degrees from -{most} to {most}")))
        };
        let center =
            Coordinates { latitude: degrees("lat", lat, 90.0)?, longitude: degrees("lng", lng, 180.0)? };
        let anybody = ClientId::new(b"-").ok_or_else(no_id)?;
        let asked = self.whatsat(anybody, km, limit)?;
        if self.node.lookups().is_none() {
            return Err(Problem::of(Invalid::NoPlaces));
        }
        let query = Query { center, radius_m: asked.radius_km * 1000.0, bound: asked.bound };
        Ok(CallStage::Looking(Looking { query, document: Vec::new(), location: None }))
    }

    fn whatsat<'a>(
        &self,
        client: ClientId<'a>,
        km: Option<&[u8]>,
        limit: Option<&[u8]>,
    ) -> Result<Whatsat<'a>, Problem> {
        let form = self.node.form();
        Whatsat::of_fields(client, km.unwrap_or(KM), limit.unwrap_or(PLACES), form).map_err(|why| {
            Problem::malformed(match why {
                Invalid::Radius => {
                    format!("km is not a plain decimal number of at most {}", form.radius_km_max)
                }
                _ => format!("limit is not a whole number of at most {}", form.bound_max),
            })
        })
    }

    /// `GET /v1/herd`
    pub(super) fn herd(&self, now: Now) -> Result<ApiAnswer, Problem> {
        let [] = self.call.values([])?;
        if !self.may(Act::Monitor)? {
            return Err(Problem::new(ProblemKind::MayNot, "this needs a token of role monitor or operator"));
        }
        let node = self.node;
        let neighbours = node.neighbours().iter().map(|neighbour| {
            let condition = neighbour.health.condition(now.tick);
            let is_in_step = condition.is_in_step && !neighbour.outbox.is_behind() && !condition.is_refused;
            let dialect = if neighbour.plain.is_some() { "plain" } else { "herd" };
            json!({"node": neighbour.id.as_str(), "dialect": dialect, "in_step": is_in_step})
        });
        let body = json!({
            "herd": node.herd,
            "node": node.id.as_str(),
            "clients": node.store().len(),
            "tombstones": node.store().tombstones(),
            "forget_after": node.forget_after,
            "neighbours": neighbours.collect::<Vec<_>>(),
        });
        Ok(ApiAnswer::new(200, super::JSON, body.to_string().into_bytes()))
    }
}

/// What a source says when it fails.
#[derive(Deserialize)]
struct FailureDocument {
    status: String,
    #[serde(default)]
    error_message: String,
}

impl Looking {
    /// The answer once the document is there.
    pub(super) fn answer(&self, looked: Looked) -> ApiAnswer {
        if looked.is_failed {
            let failure = serde_json::from_slice(&self.document).ok();
            let FailureDocument { status, error_message } = failure
                .unwrap_or_else(|| FailureDocument { status: String::new(), error_message: String::new() });
            let kind = match &*status {
                "OVER_QUERY_LIMIT" => ProblemKind::SourceBusy,
                _ => ProblemKind::SourceFailed,
            };
            return Problem::new(kind, format!("the source of places: {status} {error_message}").trim_end())
                .answer();
        }
        let mut body = b"{".to_vec();
        if let Some(location) = &self.location {
            body.extend_from_slice(b"\"client\":");
            body.extend_from_slice(location);
            body.push(b',');
        }
        body.extend_from_slice(b"\"places\":");
        body.extend_from_slice(&self.document);
        body.push(b'}');
        ApiAnswer::new(200, super::JSON, body)
    }
}
