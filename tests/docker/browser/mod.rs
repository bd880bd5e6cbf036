//! Plays the demo in a headless browser, as a visitor would: by pointer and by keyboard.
//!
//! Needs Debian's `chromium` and `chromedriver`. What the page shows is compared with a distance that
//! is computed here (Vincenty on the WGS 84 ellipsoid), from the position in `volumes/init`. Entry
//! point: [`plays_a_round`].

mod earth;
mod session;

use std::time::Duration;

use fantoccini::actions::{InputSource, MOUSE_BUTTON_LEFT, MouseActions, PointerAction};
use fantoccini::key::Key;
use fantoccini::{Client, Locator};
use serde_json::Value;

use earth::{equal_earth, position, vincenty};
use session::Browser;

const PATIENCE: Duration = Duration::from_secs(20);

/// What one guess came to.
#[derive(Debug, Clone, PartialEq)]
pub struct RoundResult {
    /// The id of the place that was asked for.
    pub place: String,
    /// Where the page says that the click was: degrees east and north.
    pub clicked: (f64, f64),
    /// The distance that the page shows, PostGIS's own.
    pub metres: f64,
    /// The same distance, computed here.
    pub expected: f64,
    /// The number of the score, as the table lists it.
    pub score: i64,
}

/// Opens the page, asks for Reykjavík, clicks at 15° W 60° N, then plays a second round by keyboard.
///
/// # Panics
/// Where a distance is off by a metre or more, the score is not listed under the player's name, a
/// request left the origin, or the browser's console has anything to complain about.
#[expect(clippy::cognitive_complexity, reason = "one round, step after step as a person plays it")]
pub async fn plays_a_round(base_url: &str) -> [RoundResult; 2] {
    let browser = Browser::start().await;
    let client = &browser.client;
    let address = format!("{}/?place=reykjavik", base_url.trim_end_matches('/'));
    client.goto(&address).await.expect("the page opens");
    client.wait().at_most(PATIENCE).for_element(Locator::Css("html[data-ready]")).await.expect("the page gets ready");
    let name = text(client, "#place").await;
    assert_eq!(name, "Reykjavík", "the page names the place that was asked for");
    let player = format!("Robin {}", std::process::id());
    let field = client.find(Locator::Id("player")).await.expect("a field for the name");
    field.send_keys(&player).await.expect("typing a name");

    let wanted = (-15.0, 60.0);
    click(client, wanted).await;
    let first = read_result(client, &player).await;
    let (east, north) = (first.clicked.0 - wanted.0, first.clicked.1 - wanted.1);
    assert!(east.abs() < 0.5 && north.abs() < 0.5, "a click at {wanted:?} was read as {:?}", first.clicked);
    assert_eq!(first.place, "reykjavik");

    let second = by_keyboard(client, &player).await;
    assert!(
        (second.clicked.0 - 20.0).abs() < 1e-6 && (second.clicked.1 - 21.0).abs() < 1e-6,
        "four steps east and two small ones north of 0° 20° are {:?}",
        second.clicked
    );
    assert_ne!(second.place, first.place, "a place is not asked for twice in a row");
    stays_at_home(client, base_url).await;
    let console = browser.console().await;
    assert!(console.is_empty(), "the console says {console:?}");
    [first, second]
}

/// Enter on "Next place", which has the focus, brings the focus to the map.
async fn by_keyboard(client: &Client, player: &str) -> RoundResult {
    let next = client.active_element().await.expect("something has the focus");
    assert_eq!(next.attr("id").await.expect("its id").as_deref(), Some("next"), "the way on has the focus");
    next.send_keys(&Key::Enter.to_string()).await.expect("Enter");
    client.wait().at_most(PATIENCE).for_element(Locator::Css("#map:not(.over)")).await.expect("the next round begins");
    let map = client.active_element().await.expect("something has the focus");
    assert_eq!(map.attr("id").await.expect("its id").as_deref(), Some("map"), "the map has the focus");
    let mut keys: String = Key::Right.to_string().repeat(4);
    keys += &Key::Shift;
    keys += &Key::Up.to_string().repeat(2);
    keys += &Key::Null;
    keys += &Key::Enter;
    map.send_keys(&keys).await.expect("arrows");
    read_result(client, player).await
}

/// Clicks where a point of the earth is drawn.
async fn click(client: &Client, degrees: (f64, f64)) {
    let script = "const map = document.getElementById('map'); const r = map.getBoundingClientRect();
        return [r.left, r.top, r.width, r.height, ...map.getAttribute('viewBox').split(' ').map(Number)]";
    let numbers = client.execute(script, Vec::new()).await.expect("the place of the map");
    let at = |i: usize| numbers[i].as_f64().expect("a number");
    let (x, y) = equal_earth(degrees);
    let x = at(0) + (x - at(4)) / at(6) * at(2);
    let y = at(1) + (y - at(5)) / at(7) * at(3);
    let mouse = MouseActions::new("mouse".into())
        .then(PointerAction::MoveTo { duration: None, x, y })
        .then(PointerAction::Down { button: MOUSE_BUTTON_LEFT })
        .then(PointerAction::Up { button: MOUSE_BUTTON_LEFT });
    client.perform_actions(mouse).await.expect("a click");
}

/// Waits for the result of the guess and checks it.
async fn read_result(client: &Client, player: &str) -> RoundResult {
    let shown = Locator::Css("#result:not([hidden])");
    let result = client.wait().at_most(PATIENCE).for_element(shown).await.expect("a result");
    let words = result.text().await.expect("its words");
    assert!(words.contains(" off") && words.contains("points"), "the result says how far off: {words}");
    let data = client
        .execute("return {...document.getElementById('result').dataset}", Vec::new())
        .await
        .expect("the data of the result");
    let number = |name: &str| -> f64 {
        let text = data[name].as_str().unwrap_or_else(|| panic!("no data-{name} in {data}"));
        text.parse().unwrap_or_else(|_| panic!("data-{name} is {text}"))
    };
    let place = data["place"].as_str().expect("data-place").to_owned();
    let clicked = (number("longitude"), number("latitude"));
    let (metres, expected) = (number("metres"), vincenty(clicked, position(&place)));
    assert!((metres - expected).abs() < 1.0, "{place}: the page says {metres} m, it is {expected} m");
    let score = data["score"].as_str().and_then(|score| score.parse().ok()).expect("data-score");
    let row = format!("#latest tr[data-score='{score}']");
    client.wait().at_most(PATIENCE).for_element(Locator::Css(&row)).await.expect("the score is listed");
    let line = text(client, &row).await;
    assert!(line.starts_with(player), "the score is listed under {player}: {line}");
    RoundResult { place, clicked, metres, expected, score }
}

async fn text(client: &Client, css: &str) -> String {
    let element = client.find(Locator::Css(css)).await.unwrap_or_else(|error| panic!("{css}: {error}"));
    element.text().await.expect("its text")
}

/// Everything that was loaded came from where the page came from.
async fn stays_at_home(client: &Client, base_url: &str) {
    let script = "return performance.getEntriesByType('resource').map((entry) => entry.name)";
    let names = client.execute(script, Vec::new()).await.expect("the list of requests");
    let names: Vec<&str> = names.as_array().expect("a list").iter().filter_map(Value::as_str).collect();
    assert!(names.iter().any(|name| name.ends_with("/world.json")), "the map was loaded: {names:?}");
    let foreign: Vec<_> = names.iter().filter(|name| !name.starts_with(base_url)).collect();
    assert!(foreign.is_empty(), "requests left the origin: {foreign:?}");
}
