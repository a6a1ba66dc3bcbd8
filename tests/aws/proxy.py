"""A stand-in for the distribution: it reads the module's cache rules, keeps answers as long as they say, and passes the rest on."""
import http.client
import threading
import time
from fnmatch import fnmatchcase
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from botocore.exceptions import ClientError


class Distribution(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, rules, error_ttl, bucket, s3, api):
        super().__init__(("127.0.0.1", 0), Handler)
        self.rules, self.error_ttl, self.bucket, self.s3, self.api = rules, {int(status): ttl for status, ttl in error_ttl.items()}, bucket, s3, api
        self.kept, self.lock = {}, threading.Lock()
        self.counts = {"hit": 0, "miss": 0}

    @property
    def url(self):
        return f"http://127.0.0.1:{self.server_address[1]}"

    def rule(self, path):
        return next(rule for rule in self.rules if fnmatchcase(path, rule["path"]))


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    def do_GET(self):
        # Query strings are not passed on, and the root is an object.
        path = self.path.partition("?")[0].lstrip("/") or "log.json"
        rule = self.server.rule(path)
        if rule["origin"] == "api":
            return self.pass_on(b"")
        with self.server.lock:
            until, answer = self.server.kept.get(path, (0, None))
        fresh = time.monotonic() < until
        self.server.counts["hit" if fresh else "miss"] += 1
        if not fresh:
            answer = self.fetch(path)
            with self.server.lock:
                self.server.kept[path] = (time.monotonic() + self.ttl(rule, answer), answer)
        self.respond(*answer)

    do_HEAD = do_GET

    def do_POST(self):
        self.pass_on(self.rfile.read(int(self.headers.get("content-length", 0))))

    def ttl(self, rule, answer):
        status, headers, _ = answer
        if status != 200:
            return self.server.error_ttl.get(status, 10)
        asked = [part.split("=")[1] for part in headers.get("cache-control", "").split(",") if "max-age=" in part]
        wanted = int(asked[0]) if asked else rule["default_ttl"]
        return min(max(wanted, rule["min_ttl"]), rule["max_ttl"])

    def fetch(self, path):
        try:
            answer = self.server.s3.get_object(Bucket=self.server.bucket, Key=path)
        except ClientError as error:
            return error.response["ResponseMetadata"]["HTTPStatusCode"], {}, b""
        headers = {"content-type": answer["ContentType"], "cache-control": answer.get("CacheControl", "")}
        return 200, headers, answer["Body"].read()

    def pass_on(self, body):
        host, port, name = self.server.api
        connection = http.client.HTTPConnection(host, port, timeout=40)
        headers = {key: value for key, value in self.headers.items() if key.lower() not in ("host", "connection")}
        connection.request(self.command, self.path, body, {**headers, "Host": name})
        answer = connection.getresponse()
        content = answer.read()
        self.respond(answer.status, {"content-type": answer.headers.get("content-type", "text/plain")}, content)

    def respond(self, status, headers, body):
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)
