#!/usr/bin/env python3
"""A stand-in for Discord's webhooks, for tests: keeps the documented limits, the rate limit, and what it was sent.

    discord_stand_in.py [PORT]                  prints "listening on 127.0.0.1:PORT"; port 0 or none: a free one
    discord_stand_in.py 0 --script 500,429:1.5,404,slow:2
                                                answers the first requests so, then normally
    --limit 5 --window 2                        requests allowed per seconds and webhook (as Discord was seen to)

POST /api/webhooks/<id>/<token>[?wait=true]     a message: 204, or 200 with wait; 400 with Discord's JSON; 429
GET  /messages                                  accepted messages, oldest first: [{path, body, at, user_agent}]
GET  /refused                                   refused ones: [{path, status, reason, body, at}]
POST /script                                    more scripted answers: ["500", "429:1.5", "slow:2"]
DELETE /messages                                forgets both lists

Only the standard library; also usable as a module: `with DiscordStandIn() as discord: ... discord.messages()`.
"""

import argparse
import collections
import json
import math
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit

CONTENT_MAX = 2000
EMBEDS_MAX = 10
TOTAL_MAX = 6000
EMBED_TEXTS = {("title",): 256, ("description",): 4096, ("footer", "text"): 2048, ("author", "name"): 256}
FIELDS_MAX = 25
FIELD_TEXTS = {"name": 256, "value": 1024}
USERNAME_MAX = 80
BODY_BYTES_MAX = 25 << 20


def units(text):
    """Length in UTF-16 units, after trimming as Discord does."""
    return len(text.strip().encode("utf-16-le")) // 2


class Check:
    """Collects what is wrong with one message."""

    def __init__(self):
        self.errors = {}
        self.total = 0

    def error(self, place, code, text):
        self.errors.setdefault(place, []).append({"code": code, "message": text})

    def text(self, place, value, limit, required=False):
        if value is None and not required:
            return 0
        if not isinstance(value, str):
            self.error(place, "BASE_TYPE_REQUIRED", "This field is required")
            return 0
        length = units(value)
        if length > limit:
            self.error(place, "BASE_TYPE_MAX_LENGTH", f"Must be {limit} or fewer in length.")
        if required and length == 0:
            self.error(place, "BASE_TYPE_REQUIRED", "This field is required")
        return length

    def message(self, message):
        content = self.text("content", message.get("content"), CONTENT_MAX)
        embeds = message.get("embeds") or []
        if len(embeds) > EMBEDS_MAX:
            self.error("embeds", "BASE_TYPE_MAX_LENGTH", f"Must be {EMBEDS_MAX} or fewer in length.")
        for number, embed in enumerate(embeds):
            self.embed(f"embeds.{number}", embed)
        urls = [embed.get("url") for embed in embeds if embed.get("url")]
        if len(urls) != len(set(urls)):
            # Discord merges such embeds into one, so all but the first would never be seen.
            self.error("embeds", "STAND_IN_SHARED_URL", "Two embeds share a URL.")
        if self.total > TOTAL_MAX:
            self.error("embeds", "MAX_EMBED_SIZE_EXCEEDED", f"Embed size exceeds maximum size of {TOTAL_MAX}")
        if "username" in message:
            self.text("username", message["username"], USERNAME_MAX, required=True)
            for word in ("clyde", "discord"):
                if word in str(message["username"]).lower():
                    self.error("username", "USERNAME_INVALID_CONTAINS", f'Username cannot contain "{word}"')
        self.mentions(message.get("allowed_mentions") or {})
        return content > 0 or bool(embeds)

    def embed(self, place, embed):
        for path, limit in EMBED_TEXTS.items():
            value = embed
            for key in path:
                value = value.get(key) if isinstance(value, dict) else None
            required = len(path) == 2 and embed.get(path[0]) is not None
            self.total += self.text(f"{place}.{'.'.join(path)}", value, limit, required)
        fields = embed.get("fields") or []
        if len(fields) > FIELDS_MAX:
            self.error(f"{place}.fields", "BASE_TYPE_MAX_LENGTH", f"Must be {FIELDS_MAX} or fewer in length.")
        for number, field in enumerate(fields):
            for key, limit in FIELD_TEXTS.items():
                self.total += self.text(f"{place}.fields.{number}.{key}", field.get(key), limit, required=True)
        color = embed.get("color")
        if color is not None and not (type(color) is int and 0 <= color <= 0xFFFFFF):
            self.error(f"{place}.color", "NUMBER_TYPE_MAX", "int value should be less than or equal to 16777215.")
        url = embed.get("url")
        if url is not None and not str(url).startswith(("http://", "https://")):
            self.error(f"{place}.url", "URL_TYPE_INVALID_URL", "Not a well formed URL.")
        shown = ("title", "description", "fields", "image", "thumbnail", "author", "footer")
        if not any(embed.get(key) for key in shown):
            self.error(place, "EMBED_EMPTY", "This embed is empty.")

    def mentions(self, mentions):
        for kind in ("users", "roles"):
            listed = mentions.get(kind) or []
            if listed and kind in (mentions.get("parse") or []):
                text = f'parse:["{kind}"] and {kind}: [ids...] are mutually exclusive.'
                self.error("allowed_mentions", "MESSAGE_ALLOWED_MENTIONS_PARSE_EXCLUSIVE", text)
            if len(listed) > 100:
                self.error(f"allowed_mentions.{kind}", "BASE_TYPE_MAX_LENGTH", "Must be 100 or fewer in length.")


def refusal(message):
    """None when the message keeps the rules, else the JSON of Discord's 400."""
    check = Check()
    if not isinstance(message, dict):
        return {"message": "The request body contains invalid JSON.", "code": 50109}
    filled = check.message(message)
    if check.errors:
        errors = {place: {"_errors": errors} for place, errors in check.errors.items()}
        return {"message": "Invalid Form Body", "code": 50035, "errors": errors}
    if not filled:
        return {"message": "Cannot send an empty message", "code": 50006}
    return None


REASONS = {
    401: {"message": "401: Unauthorized", "code": 0},
    403: {"message": "Missing Access", "code": 50001},
    404: {"message": "Unknown Webhook", "code": 10015},
}


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    def answer(self, status, body=None, headers=None):
        data = b"" if body is None else json.dumps(body).encode()
        self.send_response(status)
        for name, value in (headers or {}).items():
            self.send_header(name, str(value))
        if data:
            self.send_header("Content-Type", "application/json")
        if status != 204:
            self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def do_GET(self):
        stand_in = self.server.stand_in
        with stand_in.lock:
            if self.path == "/messages":
                return self.answer(200, stand_in.accepted)
            if self.path == "/refused":
                return self.answer(200, stand_in.refused)
        self.answer(404, {"message": "404: Not Found", "code": 0})

    def do_DELETE(self):
        stand_in = self.server.stand_in
        with stand_in.lock:
            stand_in.accepted.clear()
            stand_in.refused.clear()
        self.answer(204)

    def do_POST(self):
        stand_in = self.server.stand_in
        length = int(self.headers.get("Content-Length") or 0)
        if length > BODY_BYTES_MAX:
            self.close_connection = True
            return self.answer(413, {"message": "Request entity too large", "code": 40005})
        body = self.rfile.read(length)
        address = urlsplit(self.path)
        if address.path == "/script":
            stand_in.add_script(json.loads(body))
            return self.answer(204)
        parts = address.path.strip("/").split("/")
        if len(parts) != 4 or parts[:2] != ["api", "webhooks"] or not parts[2].isdigit():
            return self.answer(404, {"message": "404: Not Found", "code": 0})
        scripted = stand_in.next_scripted()
        if scripted.startswith("slow:"):
            time.sleep(float(scripted[5:]))
        elif scripted.startswith("429:"):
            return self.limited(address.path, float(scripted[4:]))
        elif scripted == "cloudflare":
            stand_in.refuse(address.path, 429, None, body)
            return self.answer(429, None, {"Retry-After": "1"})
        elif scripted:
            status = int(scripted)
            reason = REASONS.get(status, {"message": f"{status}: scripted", "code": 0})
            stand_in.refuse(address.path, status, reason, body)
            return self.answer(status, reason)
        allowed, remaining, reset_after = stand_in.take(address.path)
        if not allowed:
            return self.limited(address.path, reset_after)
        try:
            message = json.loads(body)
        except ValueError:
            message = None
        reason = refusal(message)
        if reason:
            stand_in.refuse(address.path, 400, reason, body)
            return self.answer(400, reason)
        number = stand_in.accept(address.path, message, self.headers.get("User-Agent"))
        headers = stand_in.headers(remaining, reset_after)
        if parse_qs(address.query).get("wait") == ["true"]:
            return self.answer(200, {"id": str(number), "content": message.get("content", "")}, headers)
        self.answer(204, None, headers)

    def limited(self, path, seconds):
        seconds = round(seconds, 3)
        reason = {"message": "You are being rate limited.", "retry_after": seconds, "global": False}
        self.server.stand_in.refuse(path, 429, reason, b"")
        headers = self.server.stand_in.headers(0, seconds)
        headers |= {"Retry-After": math.ceil(seconds), "X-RateLimit-Scope": "user"}
        self.answer(429, reason, headers)


class DiscordStandIn:
    """The server. Start it with `with`, or `start` and `stop`."""

    def __init__(self, port=0, limit=5, window=2.0, script=()):
        self.lock = threading.Lock()
        self.limit = limit
        self.window = window
        self.accepted = []
        self.refused = []
        self.script = collections.deque(str(step) for step in script)
        self.requests = collections.defaultdict(collections.deque)
        self.server = ThreadingHTTPServer(("127.0.0.1", port), Handler)
        self.server.daemon_threads = True
        self.server.stand_in = self
        self.port = self.server.server_address[1]

    def webhook(self, name="ops"):
        """An address to post to."""
        return f"http://127.0.0.1:{self.port}/api/webhooks/1234567890/{name}-token"

    def messages(self):
        with self.lock:
            return list(self.accepted)

    def start(self):
        threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
        return self

    def stop(self):
        self.server.shutdown()
        self.server.server_close()

    def __enter__(self):
        return self.start()

    def __exit__(self, *_):
        self.stop()

    def add_script(self, steps):
        with self.lock:
            self.script.extend(str(step) for step in steps)

    def next_scripted(self):
        with self.lock:
            return self.script.popleft() if self.script else ""

    def take(self, path):
        """Counts a request to a webhook: (allowed, remaining, seconds until the window ends)."""
        with self.lock:
            now = time.monotonic()
            times = self.requests[path]
            while times and now - times[0] >= self.window:
                times.popleft()
            allowed = len(times) < self.limit
            if allowed:
                times.append(now)
            return allowed, max(0, self.limit - len(times)), max(0.001, times[0] + self.window - now)

    def headers(self, remaining, reset_after):
        return {
            "X-RateLimit-Limit": self.limit,
            "X-RateLimit-Remaining": remaining,
            "X-RateLimit-Reset": round(time.time() + reset_after, 3),
            "X-RateLimit-Reset-After": round(reset_after, 3),
            "X-RateLimit-Bucket": "stand-in",
        }

    def accept(self, path, message, user_agent):
        with self.lock:
            self.accepted.append({"path": path, "body": message, "at": time.time(), "user_agent": user_agent})
            return len(self.accepted)

    def refuse(self, path, status, reason, body):
        with self.lock:
            text = body.decode(errors="replace")[:10_000]
            self.refused.append({"path": path, "status": status, "reason": reason, "body": text, "at": time.time()})


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("port", nargs="?", type=int, default=0)
    parser.add_argument("--limit", type=int, default=5)
    parser.add_argument("--window", type=float, default=2.0)
    parser.add_argument("--script", default="", help="answers to the first requests, by commas: 500,429:1.5,slow:2")
    args = parser.parse_args()
    script = [step for step in args.script.split(",") if step]
    stand_in = DiscordStandIn(args.port, args.limit, args.window, script)
    print(f"listening on 127.0.0.1:{stand_in.port}", flush=True)
    try:
        stand_in.server.serve_forever(poll_interval=0.05)
    except KeyboardInterrupt:
        pass


if __name__ == "__main__":
    main()
