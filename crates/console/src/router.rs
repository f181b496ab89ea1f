//! Which path is answered by what.

use std::{fmt, sync::Arc, time::Duration};

use axum::{
    Router,
    http::Uri,
    middleware,
    routing::{any, get, post},
};

use crate::{
    AlertsView, ClusterView, ConsoleConfig, alerts, assets,
    cluster::{self, Cluster},
    dashboards::{self, DashboardStore},
    error::ApiError,
    guard, info, proxy,
};

/// The store is a neighbour: a connection that takes longer than this will not come about.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// What every handler shares.
#[derive(Clone)]
pub(crate) struct Console {
    pub(crate) config: Arc<ConsoleConfig>,
    pub(crate) dashboards: Arc<DashboardStore>,
    pub(crate) alerts: Arc<dyn AlertsView>,
    pub(crate) cluster: Arc<Cluster>,
    pub(crate) http: reqwest::Client,
}

impl fmt::Debug for Console {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Console").field("config", &self.config).finish_non_exhaustive()
    }
}

/// The console as a service: web app, API, security headers.
pub fn router(config: ConsoleConfig, alerts: Arc<dyn AlertsView>, cluster: Arc<dyn ClusterView>) -> Router {
    // Compressed answers of the store are handed to the browser as they are, hence no decoding here.
    // Building can only fail on TLS set-up; the default client panics in the same case, at start.
    let http = reqwest::Client::builder()
        .connect_timeout(CONNECT_TIMEOUT)
        .no_gzip()
        .no_proxy()
        .danger_accept_invalid_certs(config.any_certificate)
        .build()
        .unwrap_or_default();
    let console = Console {
        dashboards: Arc::new(DashboardStore::new(config.dashboards_dir.clone())),
        config: Arc::new(config),
        alerts,
        cluster: Arc::new(Cluster::new(cluster)),
        http,
    };

    // The store asks for itself; what is kept here asks it.
    let ours = Router::new()
        .route("/dashboards", get(dashboards::list))
        .route("/dashboards/{uid}", get(dashboards::one))
        .route("/alerts", get(alerts::serve))
        .layer(middleware::from_fn_with_state(console.clone(), guard::users_only));
    let administrators = Router::new()
        .route("/cluster", get(cluster::serve))
        .layer(middleware::from_fn_with_state(console.clone(), guard::administrators_only));
    let api = Router::new()
        .route("/query", get(proxy::get_query).post(proxy::post_query))
        .route("/v2/query", post(proxy::post_flux))
        .route("/v2/query/analyze", post(proxy::post_flux_analysis))
        .route("/info", get(info::serve))
        .merge(ours)
        .merge(administrators)
        .fallback(any(no_such_api))
        .layer(middleware::from_fn(guard::same_site_only))
        .with_state(console);

    Router::new()
        .nest("/api", api)
        .fallback(get(assets::serve))
        .layer(middleware::from_fn(guard::security_headers))
}

async fn no_such_api(uri: Uri) -> ApiError {
    ApiError::NotFound { path: format!("/api{}", uri.path()) }
}
