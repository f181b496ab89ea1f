//! The console as a browser meets it, in front of a store that these tests play.

use std::{
    fs,
    io::Read,
    sync::{Arc, Mutex},
    time::Duration,
};

use axum::{
    Router,
    body::{Body, Bytes},
    extract::State,
    http::{HeaderMap, HeaderValue, Method, Request, StatusCode, header},
    response::Response,
    routing::any,
};
use futures_util::stream;
use http_body_util::BodyExt;
use serde_json::{Value, json};
use tokio::{net::TcpListener, sync::oneshot};
use tower::ServiceExt;

use crate::{
    AlertInstance, AlertRule, AlertState, AlertsSnapshot, ClusterSnapshot, ClusterView, ConsoleConfig,
    DataNodeState, NoAlerts, NoCluster, is_built, router,
};

/// An address where nobody listens: the port was ours a moment ago.
async fn closed_address() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    format!("http://{}", listener.local_addr().unwrap())
}

fn console(upstream: &str) -> Router {
    router(ConsoleConfig::new(upstream), Arc::new(NoAlerts), Arc::new(NoCluster))
}

async fn send(app: Router, request: Request<Body>) -> (StatusCode, HeaderMap, Bytes) {
    let response = app.oneshot(request).await.unwrap();
    let (parts, body) = response.into_parts();
    (parts.status, parts.headers, body.collect().await.unwrap().to_bytes())
}

async fn get(app: Router, path: &str) -> (StatusCode, HeaderMap, Bytes) {
    send(app, Request::get(path).body(Body::empty()).unwrap()).await
}

fn json_of(body: &[u8]) -> Value {
    serde_json::from_slice(body).unwrap()
}

mod web_app {
    use super::*;

    #[tokio::test]
    async fn every_route_of_the_app_gets_its_page_with_security_headers() {
        for path in ["/", "/d/hosts", "/explore?q=x", "/no/such/page"] {
            let (status, headers, body) = get(console("http://127.0.0.1:1"), path).await;
            assert_eq!(status, StatusCode::OK, "{path}");
            assert_eq!(headers[header::CONTENT_TYPE], "text/html; charset=utf-8");
            assert_eq!(headers[header::CACHE_CONTROL], "no-cache");
            assert_eq!(headers[header::X_CONTENT_TYPE_OPTIONS], "nosniff");
            assert!(
                headers[header::CONTENT_SECURITY_POLICY].to_str().unwrap().contains("frame-ancestors 'none'")
            );
            assert!(String::from_utf8_lossy(&body).contains("<!doctype html>"));
        }
    }

    #[tokio::test]
    async fn a_missing_script_is_not_answered_with_a_page() {
        let (status, _, _) = get(console("http://127.0.0.1:1"), "/assets/index-gone.js").await;
        assert_eq!(status, StatusCode::NOT_FOUND);
    }

    #[tokio::test]
    async fn a_page_that_the_browser_has_is_not_sent_again() {
        let (_, headers, _) = get(console("http://127.0.0.1:1"), "/").await;
        let request = Request::get("/")
            .header(header::IF_NONE_MATCH, &headers[header::ETAG])
            .body(Body::empty())
            .unwrap();
        let (status, _, body) = send(console("http://127.0.0.1:1"), request).await;
        assert_eq!((status, body.len()), (StatusCode::NOT_MODIFIED, 0));
    }

    #[tokio::test]
    async fn gzip_is_sent_only_where_it_is_accepted_and_unpacks_to_the_same() {
        let (_, plain_headers, plain) = get(console("http://127.0.0.1:1"), "/").await;
        assert!(!plain_headers.contains_key(header::CONTENT_ENCODING));

        // The placeholder page is not compressed; the built one is.
        if is_built() {
            let request = Request::get("/")
                .header(header::ACCEPT_ENCODING, "br, gzip;q=0.8")
                .body(Body::empty())
                .unwrap();
            let (_, headers, packed) = send(console("http://127.0.0.1:1"), request).await;
            assert_eq!(headers[header::CONTENT_ENCODING], "gzip");
            let mut unpacked = Vec::new();
            flate2::read::GzDecoder::new(&packed[..]).read_to_end(&mut unpacked).unwrap();
            assert_eq!(unpacked, plain);
        }
        let refused =
            Request::get("/").header(header::ACCEPT_ENCODING, "gzip;q=0").body(Body::empty()).unwrap();
        let (_, headers, body) = send(console("http://127.0.0.1:1"), refused).await;
        assert!(!headers.contains_key(header::CONTENT_ENCODING));
        assert_eq!(body, plain);
    }

    #[tokio::test]
    async fn hashed_files_are_kept_by_browsers_for_good() {
        let (_, _, page) = get(console("http://127.0.0.1:1"), "/").await;
        let page = String::from_utf8_lossy(&page).into_owned();
        let Some(start) = page.find("/assets/") else {
            assert!(!is_built(), "a built page loads its scripts from /assets/");
            return;
        };
        let path: String = page[start..].chars().take_while(|c| *c != '"').collect();
        let (status, headers, _) = get(console("http://127.0.0.1:1"), &path).await;
        assert_eq!(status, StatusCode::OK);
        assert_eq!(headers[header::CACHE_CONTROL], "public, max-age=31536000, immutable");
    }

    #[tokio::test]
    async fn an_unknown_api_path_is_json_that_names_it() {
        let (status, _, body) = get(console("http://127.0.0.1:1"), "/api/nothing").await;
        assert_eq!(status, StatusCode::NOT_FOUND);
        assert_eq!(json_of(&body), json!({"error": "there is nothing at /api/nothing"}));
    }

    #[tokio::test]
    async fn other_sites_cannot_use_the_api() {
        for path in ["/api/query", "/api/v2/query", "/api/v2/query/analyze"] {
            let request = Request::post(path)
                .header("sec-fetch-site", "cross-site")
                .body(Body::from("q=DROP+DATABASE+telegraf"))
                .unwrap();
            let (status, _, _) = send(console("http://127.0.0.1:1"), request).await;
            assert_eq!(status, StatusCode::FORBIDDEN, "{path}");
        }
    }
}

mod queries {
    use super::*;

    /// What the store was asked.
    #[derive(Debug, Clone, PartialEq)]
    struct Asked {
        method: Method,
        uri: String,
        content_type: Option<HeaderValue>,
        authorization: Option<HeaderValue>,
        body: String,
    }

    type Log = Arc<Mutex<Vec<Asked>>>;

    async fn answer(State(log): State<Log>, request: Request<Body>) -> Response {
        let (parts, body) = request.into_parts();
        let body = String::from_utf8(body.collect().await.unwrap().to_bytes().to_vec()).unwrap();
        log.lock().unwrap().push(Asked {
            method: parts.method,
            uri: parts.uri.to_string(),
            content_type: parts.headers.get(header::CONTENT_TYPE).cloned(),
            authorization: parts.headers.get(header::AUTHORIZATION).cloned(),
            body,
        });
        Response::builder()
            .status(StatusCode::BAD_REQUEST)
            .header(header::CONTENT_TYPE, "application/json")
            .header("x-influxdb-version", "1.8.10")
            .header("set-cookie", "not=yours")
            .body(Body::from(r#"{"error":"error parsing query: found FORM"}"#))
            .unwrap()
    }

    async fn serve(app: Router) -> String {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        tokio::spawn(async move { axum::serve(listener, app).await });
        url
    }

    #[tokio::test]
    async fn get_and_post_reach_the_store_as_they_are_and_its_answer_comes_back() {
        let log = Log::default();
        let store = serve(Router::new().route("/query", any(answer)).with_state(log.clone())).await;

        let (status, headers, body) = get(console(&store), "/api/query?db=a%20b&q=SELECT+1").await;
        assert_eq!(status, StatusCode::BAD_REQUEST);
        assert_eq!(json_of(&body)["error"], "error parsing query: found FORM");
        assert_eq!(headers["x-influxdb-version"], "1.8.10");
        assert_eq!(headers[header::CACHE_CONTROL], "no-store");
        assert!(!headers.contains_key("set-cookie"));

        let form = "q=SHOW+DATABASES&epoch=ms";
        let post = Request::post("/api/query?db=x")
            .header(header::CONTENT_TYPE, "application/x-www-form-urlencoded")
            .body(Body::from(form))
            .unwrap();
        send(console(&store), post).await;

        let asked = log.lock().unwrap().clone();
        assert_eq!((&asked[0].method, asked[0].uri.as_str()), (&Method::GET, "/query?db=a%20b&q=SELECT+1"));
        assert_eq!(
            asked[1],
            Asked {
                method: Method::POST,
                uri: "/query?db=x".into(),
                content_type: Some(HeaderValue::from_static("application/x-www-form-urlencoded")),
                authorization: None,
                body: form.into(),
            }
        );
    }

    #[tokio::test]
    async fn flux_and_its_analysis_reach_the_store_with_the_credentials() {
        let log = Log::default();
        let store = serve(Router::new().fallback(any(answer)).with_state(log.clone())).await;
        let body = r#"{"query":"buckets()","type":"flux"}"#;
        for path in ["/api/v2/query?org=-", "/api/v2/query/analyze"] {
            let post = Request::post(path)
                .header(header::CONTENT_TYPE, "application/json")
                .header(header::AUTHORIZATION, "Basic YTpi")
                .body(Body::from(body))
                .unwrap();
            let (status, headers, _) = send(console(&store), post).await;
            assert_eq!(status, StatusCode::BAD_REQUEST, "the store's own status");
            assert_eq!(headers[header::CACHE_CONTROL], "no-store");
            let asked = log.lock().unwrap().pop().unwrap();
            let expected = Asked {
                method: Method::POST,
                uri: path.into(),
                content_type: Some(HeaderValue::from_static("application/json")),
                authorization: Some(HeaderValue::from_static("Basic YTpi")),
                body: body.into(),
            };
            assert_eq!(asked, expected);
        }
        let (status, _, _) = get(console(&store), "/api/v2/query?q=x").await;
        assert_eq!(status, StatusCode::METHOD_NOT_ALLOWED, "Flux is posted");
    }

    #[tokio::test]
    async fn an_answer_arrives_piece_by_piece() {
        let (release, wait) = oneshot::channel::<()>();
        let wait = Arc::new(Mutex::new(Some(wait)));
        let store = serve(Router::new().route(
            "/query",
            any(move || async move {
                let wait = wait.lock().unwrap().take().unwrap();
                let pieces = stream::unfold(Some(wait), |wait| async move {
                    let wait = wait?;
                    let _released = wait.await;
                    Some((Ok::<_, std::convert::Infallible>(Bytes::from_static(b"second")), None))
                });
                let first = stream::once(async { Ok(Bytes::from_static(b"first ")) });
                Response::new(Body::from_stream(futures_util::StreamExt::chain(first, pieces)))
            }),
        ))
        .await;

        let response = console(&store)
            .oneshot(Request::get("/api/query?q=x").body(Body::empty()).unwrap())
            .await
            .unwrap();
        let mut body = response.into_body();
        let first = body.frame().await.unwrap().unwrap().into_data().unwrap();
        // The store holds the rest back until now, so this piece cannot have waited for it.
        assert_eq!(&first[..], b"first ");
        release.send(()).unwrap();
        assert_eq!(&body.collect().await.unwrap().to_bytes()[..], b"second");
    }

    /// Tells when the store's answer was dropped before its end.
    struct TellsWhenDropped(Option<oneshot::Sender<()>>);

    impl Drop for TellsWhenDropped {
        fn drop(&mut self) {
            if let Some(tell) = self.0.take() {
                let _nobody_listens = tell.send(());
            }
        }
    }

    #[tokio::test]
    async fn leaving_cancels_the_query() {
        let (tell, dropped) = oneshot::channel::<()>();
        let tell = Arc::new(Mutex::new(Some(tell)));
        let store = serve(Router::new().route(
            "/query",
            any(move || async move {
                let guard = TellsWhenDropped(tell.lock().unwrap().take());
                let endless = stream::unfold(guard, |guard| async move {
                    tokio::time::sleep(Duration::from_millis(5)).await;
                    Some((Ok::<_, std::convert::Infallible>(Bytes::from_static(b"more ")), guard))
                });
                Response::new(Body::from_stream(endless))
            }),
        ))
        .await;

        let response = console(&store)
            .oneshot(Request::get("/api/query?q=x").body(Body::empty()).unwrap())
            .await
            .unwrap();
        let mut body = response.into_body();
        body.frame().await.unwrap().unwrap();
        drop(body);
        tokio::time::timeout(Duration::from_secs(10), dropped).await.expect("the store notices").unwrap();
    }

    #[tokio::test]
    async fn a_store_that_is_away_is_named() {
        let store = closed_address().await;
        let (status, _, body) = get(console(&store), "/api/query?q=x").await;
        assert_eq!(status, StatusCode::BAD_GATEWAY);
        let error = json_of(&body)["error"].as_str().unwrap().to_owned();
        assert!(error.starts_with(&format!("cannot reach the store at {store}: ")), "{error}");
        assert!(error.to_lowercase().contains("refused"), "{error}");

        let (status, _, body) = get(console(&store), "/api/info").await;
        assert_eq!(status, StatusCode::OK);
        let info = json_of(&body);
        assert_eq!((&info["store_version"], &info["database"]), (&Value::Null, &json!("telegraf")));
        assert!(info["store_error"].as_str().unwrap().contains(&store));
    }

    #[tokio::test]
    async fn a_query_larger_than_any_person_writes_is_refused() {
        for path in ["/api/query", "/api/v2/query", "/api/v2/query/analyze"] {
            let post = Request::post(path).body(Body::from(vec![b'x'; (1 << 20) + 1])).unwrap();
            let (status, _, body) = send(console("http://127.0.0.1:1"), post).await;
            assert_eq!(status, StatusCode::PAYLOAD_TOO_LARGE, "{path}");
            assert!(json_of(&body)["error"].as_str().unwrap().contains("1048576"));
        }
    }
}

mod dashboards {
    use super::*;

    fn with_dir(dir: &std::path::Path) -> Router {
        let config =
            ConsoleConfig { dashboards_dir: Some(dir.into()), ..ConsoleConfig::new("http://127.0.0.1:1") };
        router(config, Arc::new(NoAlerts), Arc::new(NoCluster))
    }

    async fn list(app: Router) -> Vec<Value> {
        json_of(&get(app, "/api/dashboards").await.2).as_array().unwrap().clone()
    }

    #[tokio::test]
    async fn two_ship() {
        let titles: Vec<Value> = list(console("http://127.0.0.1:1"))
            .await
            .into_iter()
            .map(|entry| entry["title"].clone())
            .collect();
        assert_eq!(titles, ["Hosts", "Virtual machines"]);
        let (status, _, body) = get(console("http://127.0.0.1:1"), "/api/dashboards/hosts").await;
        assert_eq!(status, StatusCode::OK);
        assert_eq!(json_of(&body)["schemaVersion"], 42);
    }

    /// Every query of a dashboard's panels and variables.
    fn queries_of(dashboard: &Value) -> Vec<String> {
        let panels = dashboard["panels"].as_array().unwrap().iter();
        let targets = panels.filter_map(|panel| panel["targets"].as_array()).flatten();
        let variables = dashboard["templating"]["list"].as_array().unwrap().iter();
        targets
            .map(|target| &target["query"])
            .chain(variables.map(|variable| &variable["query"]))
            .map(|query| query.as_str().unwrap().to_owned())
            .collect()
    }

    #[tokio::test]
    async fn our_own_parser_takes_every_query_of_those_that_ship() {
        for uid in ["hosts", "virtual-machines"] {
            let (_, _, body) = get(console("http://127.0.0.1:1"), &format!("/api/dashboards/{uid}")).await;
            let queries = queries_of(&json_of(&body));
            assert!(queries.len() > 10, "{uid}");
            for query in queries {
                // The web app fills these in; its own tests see to how.
                let filled = query
                    .replace("$timeFilter", "time >= 1690000000000ms and time <= 1690003600000ms")
                    .replace("$__interval", "20s")
                    .replace("/^$", "/^");
                skywatch_influxql::parse_query(&filled)
                    .unwrap_or_else(|error| panic!("{uid}: {query}: {error}"));
            }
        }
    }

    #[tokio::test]
    async fn files_of_the_directory_join_them_and_win_by_uid() {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("mine.json"), r#"{"title": "Mine", "panels": [], "tags": ["a"]}"#).unwrap();
        fs::write(
            dir.path().join("other.json"),
            r#"{"dashboard": {"uid": "hosts", "title": "My hosts", "panels": []}, "meta": {}}"#,
        )
        .unwrap();
        fs::write(dir.path().join("readme.txt"), "not a dashboard").unwrap();

        let entries = list(with_dir(dir.path())).await;
        let shown: Vec<_> =
            entries.iter().map(|e| (e["uid"].as_str().unwrap(), e["title"].as_str().unwrap())).collect();
        assert_eq!(
            shown,
            [("mine", "Mine"), ("hosts", "My hosts"), ("virtual-machines", "Virtual machines")]
        );
        assert_eq!(entries[0]["tags"], json!(["a"]));

        let (_, _, body) = get(with_dir(dir.path()), "/api/dashboards/mine").await;
        assert_eq!(json_of(&body), json!({"title": "Mine", "panels": [], "tags": ["a"], "uid": "mine"}));
        let (_, _, body) = get(with_dir(dir.path()), "/api/dashboards/hosts").await;
        assert_eq!(json_of(&body)["title"], "My hosts");
    }

    #[tokio::test]
    async fn a_bad_file_is_listed_with_the_reason_and_hides_no_other() {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("broken.json"), "{\"panels\": [").unwrap();
        fs::write(dir.path().join("other.json"), "[]").unwrap();

        let entries = list(with_dir(dir.path())).await;
        assert_eq!(entries.len(), 4);
        let of = |uid: &str| entries.iter().find(|entry| entry["uid"] == uid).unwrap();
        assert!(of("broken")["error"].as_str().unwrap().starts_with("not JSON"));
        assert!(of("other")["error"].as_str().unwrap().contains("panels"));
        assert_eq!(of("hosts")["error"], Value::Null);

        let (status, _, body) = get(with_dir(dir.path()), "/api/dashboards/broken").await;
        assert_eq!(status, StatusCode::UNPROCESSABLE_ENTITY);
        assert!(json_of(&body)["error"].as_str().unwrap().contains("broken.json"));
    }

    #[tokio::test]
    async fn a_second_file_with_a_uid_is_told_of_the_first() {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("a.json"), r#"{"uid": "x", "title": "First", "panels": []}"#).unwrap();
        fs::write(dir.path().join("b.json"), r#"{"uid": "x", "title": "Second", "panels": []}"#).unwrap();

        let entries = list(with_dir(dir.path())).await;
        assert_eq!(entries.len(), 4);
        let first = entries.iter().find(|entry| entry["uid"] == "x").unwrap();
        assert_eq!((&first["title"], &first["error"]), (&json!("First"), &Value::Null));
        let second = entries.iter().find(|entry| entry["error"] != Value::Null).unwrap();
        assert!(second["file"].as_str().unwrap().ends_with("b.json"));
        let reason = second["error"].as_str().unwrap();
        assert!(reason.contains("the uid \"x\"") && reason.contains("a.json"), "{reason}");
    }

    #[tokio::test]
    async fn other_envelopes_old_rows_and_constants_of_an_export() {
        let dir = tempfile::tempdir().unwrap();
        let write = |name: &str, model: Value| fs::write(dir.path().join(name), model.to_string()).unwrap();
        let resource = |version: &str, spec: Value| json!({"apiVersion": version, "kind": "Dashboard", "metadata": {"name": "k8s"}, "spec": spec});
        write(
            "resource.json",
            resource("dashboard.grafana.app/v1beta1", json!({"title": "Resource", "panels": []})),
        );
        write(
            "newer.json",
            resource("dashboard.grafana.app/v2beta1", json!({"title": "Newer", "elements": {}})),
        );
        write("rows.json", json!({"title": "Rows", "rows": [{"panels": []}]}));
        let inputs = json!([
            {"name": "VAR_DB", "type": "constant", "value": "telegraf"},
            {"name": "DS_INFLUX", "type": "datasource", "pluginId": "influxdb"},
        ]);
        let panels = json!([{"type": "text", "title": "${VAR_DB} of ${DS_INFLUX}"}]);
        write("export.json", json!({"__inputs": inputs, "title": "Export", "panels": panels}));

        let model =
            async |uid: &str| json_of(&get(with_dir(dir.path()), &format!("/api/dashboards/{uid}")).await.2);
        assert_eq!(model("k8s").await["title"], "Resource");
        assert!(model("newer").await["error"].as_str().unwrap().contains("classic model"));
        assert_eq!(model("rows").await["rows"], json!([{"panels": []}]));
        assert_eq!(model("export").await["panels"][0]["title"], "telegraf of ${DS_INFLUX}");
    }

    #[tokio::test]
    async fn a_uid_is_no_path() {
        for uid in ["nothing", "..%2F..%2Fetc%2Fpasswd", "hosts.json"] {
            let (status, _, body) =
                get(console("http://127.0.0.1:1"), &format!("/api/dashboards/{uid}")).await;
            assert_eq!(status, StatusCode::NOT_FOUND, "{uid}");
            assert!(json_of(&body)["error"].as_str().unwrap().starts_with("there is no dashboard"));
        }
    }

    #[tokio::test]
    async fn a_directory_that_is_gone_costs_only_its_own() {
        let dir = tempfile::tempdir().unwrap();
        let gone = dir.path().join("gone");
        assert_eq!(list(with_dir(&gone)).await.len(), 2);
    }
}

#[tokio::test]
async fn alerts_are_what_the_view_says_now() {
    let snapshot = AlertsSnapshot {
        source: Some("alerts.yaml".into()),
        rules: vec![AlertRule {
            uid: "cpu".into(),
            title: "CPU is busy".into(),
            group: "hosts".into(),
            query: "SELECT 1".into(),
            database: "telegraf".into(),
            condition: "last > 90 for 5m".into(),
            interval_secs: 60,
            summary: None,
            state: AlertState::NoData,
            since_ms: Some(1_000),
            evaluated_ms: None,
            last_error: None,
            instances: vec![AlertInstance {
                labels: vec![("host".into(), "a".into())],
                state: AlertState::Firing,
                value: Some(95.5),
                value_text: "95.5 %".into(),
                since_ms: None,
                muted: Some("muted by nights".into()),
            }],
        }],
        ..AlertsSnapshot::default()
    };
    let view = {
        let snapshot = snapshot.clone();
        move || snapshot.clone()
    };
    let app = router(ConsoleConfig::new("http://127.0.0.1:1"), Arc::new(view), Arc::new(NoCluster));
    let (status, _, body) = get(app, "/api/alerts").await;
    assert_eq!(status, StatusCode::OK);
    let json = json_of(&body);
    assert_eq!(json["rules"][0]["state"], "no_data");
    assert_eq!(json["rules"][0]["instances"][0]["labels"], json!([["host", "a"]]));
    assert_eq!(json["rules"][0]["instances"][0]["state"], "firing");
    assert_eq!(json["rules"][0]["instances"][0]["value_text"], "95.5 %");
    assert_eq!(json["rules"][0]["instances"][0]["muted"], "muted by nights");
    assert_eq!(json["rules"][0]["database"], "telegraf");
    assert_eq!(serde_json::from_slice::<AlertsSnapshot>(&body).unwrap(), snapshot, "another node reads it");
    let other: AlertsSnapshot = serde_json::from_str(r#"{"rules": [], "of a later release": 1}"#).unwrap();
    assert_eq!(other, AlertsSnapshot::default());

    let (_, _, body) = get(console("http://127.0.0.1:1"), "/api/alerts").await;
    assert_eq!(json_of(&body)["rules"], json!([]));
}

mod cluster {
    use std::{
        future::Future,
        pin::Pin,
        sync::atomic::{AtomicU64, Ordering},
    };

    use super::*;

    /// Counts how often it is asked.
    #[derive(Default)]
    struct Asked(AtomicU64);

    impl ClusterView for Asked {
        fn snapshot(&self) -> Pin<Box<dyn Future<Output = Option<ClusterSnapshot>> + Send + '_>> {
            self.0.fetch_add(1, Ordering::SeqCst);
            Box::pin(async {
                tokio::time::sleep(Duration::from_millis(20)).await;
                let node = DataNodeState { id: 4, error: Some("refused".into()), ..DataNodeState::default() };
                Some(ClusterSnapshot { told_by: 5, data_nodes: vec![node], ..ClusterSnapshot::default() })
            })
        }
    }

    #[tokio::test]
    async fn many_pages_ask_the_nodes_once_and_a_single_server_has_none() {
        let view = Arc::new(Asked::default());
        let app = router(
            ConsoleConfig::new("http://127.0.0.1:1"),
            Arc::new(NoAlerts),
            Arc::clone(&view) as Arc<dyn ClusterView>,
        );
        let pages = (0..20).map(|_| get(app.clone(), "/api/cluster"));
        for (status, _, body) in futures_util::future::join_all(pages).await {
            assert_eq!(status, StatusCode::OK);
            let json = json_of(&body);
            assert_eq!(json["told_by"], 5);
            assert_eq!(json["data_nodes"][0]["error"], "refused");
        }
        assert_eq!(view.0.load(Ordering::SeqCst), 1);

        let (status, _, body) = get(console("http://127.0.0.1:1"), "/api/cluster").await;
        assert_eq!((status, json_of(&body)), (StatusCode::OK, Value::Null));
    }

    /// A store that lets nobody see its servers.
    async fn forbids(request: Request<Body>) -> (StatusCode, &'static str) {
        match request.uri().query() {
            Some("q=SHOW%20SERVERS") => (StatusCode::FORBIDDEN, r#"{"error":"administrators only"}"#),
            _ => (StatusCode::OK, r#"{"results":[]}"#),
        }
    }

    #[tokio::test]
    async fn who_may_not_see_servers_does_not_see_the_cluster() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let store = format!("http://{}", listener.local_addr().unwrap());
        let _serving =
            tokio::spawn(async { axum::serve(listener, Router::new().fallback(any(forbids))).await });
        let view = Arc::new(Asked::default());
        let config = ConsoleConfig { asks_for_user: true, ..ConsoleConfig::new(store) };
        let app = router(config, Arc::new(NoAlerts), Arc::clone(&view) as Arc<dyn ClusterView>);
        let (status, _, body) = get(app.clone(), "/api/cluster").await;
        assert_eq!(status, StatusCode::FORBIDDEN);
        assert_eq!(json_of(&body)["error"], "administrators only");
        assert_eq!(view.0.load(Ordering::SeqCst), 0, "nobody is asked for them");
        assert_eq!(get(app, "/api/alerts").await.0, StatusCode::OK);
    }
}
