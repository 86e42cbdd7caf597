"""Requests as traces of their own: through Django's test clients, in one process."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

pytest.importorskip("django")

from kolo_c.cli.story import StoryText
from kolo_c.model.story import tell
from kolo_c.store.reader import Store
from tests.integration.django.small_site import (
    Site,
    run_site,
    site_program,
    stored_bytes,
)
from tests.spec.tracing import trace_program

SOURCE = """
import asyncio, io, gzip, json

SEC = {}
for kind in KINDS:
    for n in 1, 2, 3:
        SEC[f"{kind} {n}"] = "-".join([kind, "secret", str(n)])

def part(i):
    return f"{i}\\n"

def pieces():
    for i in range(3):
        yield part(i)

async def later_pieces():
    for i in range(3):
        await asyncio.sleep(0)
        yield part(i)

def order(request, pk):
    name = request.POST.get("name")
    return JsonResponse({"pk": pk, "name": name, "password": SEC["out 1"]})

def unread(request):
    return HttpResponse("fine")

def as_json(request):
    asked = json.loads(request.body)
    return JsonResponse({"count": len(asked)})

def in_pieces(request):
    found = [request.read(4)]
    found.append(request.read())
    try:
        request.body
    except RawPostDataException as error:
        return HttpResponse(f"{found} {error}")
    return HttpResponse("no error")

def upload(request):
    file = request.FILES["file"]
    return HttpResponse(f"{file.name} {file.size} {request.POST['note']}")

def stream(request):
    return StreamingHttpResponse(pieces(), content_type="text/plain")

def later_stream(request):
    return StreamingHttpResponse(later_pieces(), content_type="text/plain")

def divide(by):
    return 1 / by

def broken(request):
    return HttpResponse(str(divide(0)))

def missing(request):
    raise Http404("no cat")

async def answer():
    await asyncio.sleep(0)
    return "later"

async def later(request):
    return HttpResponse(await answer())

def login(request):
    return HttpResponse(
        '<form><input type="hidden" name="csrfmiddlewaretoken" value="%s">'
        '<input type=password name=pin value="%s"><b class="x">ok</b></form>'
        '<script>var apiKey = "%s", color = "red";</script>'
        % (SEC["html 1"], SEC["html 2"], SEC["html 3"])
    )

def packed(request):
    response = HttpResponse(gzip.compress(
        json.dumps({"token": SEC["gzip 1"], "n": 5}).encode(), mtime=0))
    response["Content-Type"] = "application/json"
    response["Content-Encoding"] = "gzip"
    response.set_cookie("sessionid", SEC["cookie 1"])
    return response

def image(request):
    return HttpResponse(b"\\x89PNG\\0\\1\\2" * 9, content_type="image/png")

def long(request):
    return HttpResponse("word " * 20_000, content_type="text/plain")

urlpatterns = [
    path("orders/<int:pk>/", order, name="order"), path("unread/", unread),
    path("json/", as_json), path("pieces/", in_pieces), path("upload/", upload),
    path("stream/", stream), path("later-stream/", later_stream),
    path("broken/", broken), path("missing/", missing), path("later/", later),
    path("login/", login), path("packed/", packed), path("image/", image),
    path("long/", long), path("static/x.css", unread),
]

c = client(headers={"authorization": "Bearer " + SEC["header 1"]}) if (
    django.VERSION >= (4, 2)) else client()
said = []
say = lambda response: said.append((response.status_code, response.content.decode("latin1")))
say(c.post(f"/orders/7/?token={SEC['query 1']}&page=2&page=3",
    {"name": "bob", "password": SEC["form 1"]}))
say(c.post("/unread/", {"password": SEC["unread 1"]}))
say(c.post("/json/", {"items": [1, 2], "api_key": SEC["json 1"]},
    content_type="application/json"))
say(c.post("/pieces/", b"abcdefgh", content_type="text/plain"))
file = io.BytesIO(b"content " * 1000); file.name = "invoice.txt"
say(c.post("/upload/", {"file": file, "note": "for May", "otp": SEC["otp 1"]}))
response = c.get("/stream/")
said.append((response.status_code, b"".join(response.streaming_content).decode()))
for name in "broken", "missing", "later", "login", "packed", "image", "nowhere", "long":
    say(c.get(f"/{name}/"))
say(c.get("/static/x.css"))

async def main():
    asynchronous = AsyncClient()
    response = await asynchronous.get("/later/?async=1")
    said.append((response.status_code, response.content.decode()))
    response = await asynchronous.get("/later-stream/")
    found = [piece async for piece in response.streaming_content]
    said.append((response.status_code, b"".join(found).decode()))

asyncio.run(main())
for one in said:
    print(*one)
"""
KINDS = "query form unread json otp html gzip cookie header out".split()
PROGRAM = f"KINDS = {KINDS}\n{SOURCE}"


@pytest.fixture(scope="module", params=["c", "python"])
def site(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Site]:
    folder = tmp_path_factory.mktemp("site")
    asked = request.config.getoption("--core")
    if asked not in (None, request.param):
        pytest.skip("--core asks for the other one")
    found = run_site(folder, request.param, PROGRAM)
    yield found
    found.store.close()


def test_each_request_has_a_trace_named_by_what_it_was(site: Site) -> None:
    assert site.names() == [
        "POST /orders/7/ → 200",
        "POST /unread/ → 200",
        "POST /json/ → 200",
        "POST /pieces/ → 200",
        "POST /upload/ → 200",
        "GET /stream/ → 200",
        "GET /broken/ → 500",
        "GET /missing/ → 404",
        "GET /later/ → 200",
        "GET /login/ → 200",
        "GET /packed/ → 200",
        "GET /image/ → 200",
        "GET /nowhere/ → 404",
        "GET /long/ → 200",
        "GET /later/ → 200",
        "GET /later-stream/ → 200",
    ]
    process = site.traces[0]
    for trace, _ in site.requests:
        assert trace.kind == "request" and trace.status == "complete"
        assert trace.parent_id == process.id
    names = {call.function for call in process.calls()}
    assert {name for name in names if "comp>" not in name} == {
        "<module>",
        "main",
        "client",
        "<lambda>",
    }


def test_each_has_its_own_calls(site: Site) -> None:
    assert site.calls("POST /orders/7/ → 200") == ["order"]
    assert site.calls("GET /broken/ → 500") == ["broken", "divide"]
    assert [
        site.calls_of(trace) for trace, _ in site.requests if "later/" in trace.name
    ] == [
        ["later", "answer"],
        ["later", "answer"],
    ]


def test_a_program_answers_as_it_does_untraced(site: Site, tmp_path: Path) -> None:
    program = site_program(PROGRAM)
    alone = trace_program(tmp_path, "c", "auto", program, under=())
    assert alone.stdout == site.traced.stdout
    assert "invoice.txt 8000 for May" in alone.stdout
    assert "You cannot access body after reading" in alone.stdout


def test_route_view_and_its_arguments_are_told(site: Site) -> None:
    fields = site.fields("POST /orders/7/ → 200")
    assert fields["route"] == "orders/<int:pk>/"
    assert fields["view"] == "__main__.order"
    assert fields["url_name"] == "order"
    assert fields["view_kwargs"] == {"pk": 7}
    assert "route" not in site.fields("GET /nowhere/ → 404")
    trace, _ = site.request("POST /orders/7/ → 200")
    assert trace.attributes == {
        "method": "POST",
        "path": "/orders/7/",
        "status": 200,
        "route": "orders/<int:pk>/",
        "view": "__main__.order",
    }


def test_query_and_headers_are_told_without_their_secrets(site: Site) -> None:
    fields = site.fields("POST /orders/7/ → 200")
    assert fields["query"] == {"token": "MASKED", "page": ["2", "3"]}
    assert fields["headers"]["Content-Type"].startswith("multipart/form-data")
    assert fields["headers"].get("Authorization", "MASKED") == "MASKED"


def test_a_body_is_what_the_program_read(site: Site) -> None:
    form = site.fields("POST /orders/7/ → 200")
    assert form["body"] == {"name": "bob", "password": "MASKED"}
    assert site.fields("POST /json/ → 200")["body"] == {
        "items": [1, 2],
        "api_key": "MASKED",
    }
    assert site.fields("POST /pieces/ → 200")["body"] == "abcdefgh"
    assert site.fields("POST /upload/ → 200")["body"] == {
        "note": "for May",
        "otp": "MASKED",
        "file": {"file": "invoice.txt", "size": 8000, "content_type": "text/plain"},
    }
    unread = site.fields("POST /unread/ → 200")
    assert unread["body_note"] == "not read" and "body" not in unread
    assert not {"body", "body_note"} & set(site.fields("GET /login/ → 200"))


def test_a_response_is_told_with_its_body_decoded(site: Site) -> None:
    fields = site.fields("POST /orders/7/ → 200")
    assert fields["status"] == 200
    assert fields["response_body"] == {"pk": 7, "name": "bob", "password": "MASKED"}
    fields = site.fields("GET /packed/ → 200")
    assert fields["response_body"] == {"token": "MASKED", "n": 5}
    assert fields["response_headers"]["Content-Encoding"] == "gzip"
    assert fields["response_headers"]["Set-Cookie"] == "MASKED"
    fields = site.fields("GET /image/ → 200")
    assert fields["response_body_note"] == "63 bytes, image/png"
    fields = site.fields("GET /long/ → 200")
    assert fields["response_body_note"] == "cut: 100,000 bytes"
    assert len(fields["response_body"]) == 2048


def test_a_page_is_told_without_the_secrets_in_its_form(site: Site) -> None:
    assert site.fields("GET /login/ → 200")["response_body"] == (
        '<form><input type="hidden" name="csrfmiddlewaretoken" value="***">'
        '<input type=password name=pin value="***"><b class="x">ok</b></form>'
        '<script>var apiKey = "***", color = "red";</script>'
    )


def test_no_secret_is_in_the_store(site: Site) -> None:
    stored = stored_bytes(site.traced.store)
    assert b"invoice.txt" in stored
    secrets = [f"{kind}-secret-{n}" for kind in KINDS for n in (1, 2, 3)]
    found = [secret for secret in secrets if secret.encode() in stored]
    assert found == []


def test_the_exception_that_became_a_500_is_in_the_record(site: Site) -> None:
    exception = site.fields("GET /broken/ → 500")["exception"]
    assert str(exception) == "ZeroDivisionError('division by zero')"
    assert str(site.fields("GET /missing/ → 404")["exception"]).startswith("Http404(")


def test_a_streamed_body_is_made_in_the_trace_of_its_request(site: Site) -> None:
    for name, maker in (("stream", "pieces"), ("later-stream", "later_pieces")):
        trace_name = f"GET /{name}/ → 200"
        assert sorted(site.calls(trace_name)) == sorted(
            [name.replace("-", "_"), maker, "part", "part", "part"]
        )
        assert site.fields(trace_name)["streaming"] is True


def test_ignored_paths_are_not_recorded(site: Site) -> None:
    assert not any("static" in trace.name for trace, _ in site.requests)
    assert site.traced.stdout.count("200 fine") == 2


FAILING = """
def find(n):
    return {}["missing"]

def chain(request):
    try:
        find(1)
    except KeyError as error:
        raise RuntimeError("outer") from error

def asks(request):
    Client().get("/chain/")

def nothing(request):
    find.__name__

urlpatterns = [path("chain/", chain), path("asks/", asks), path("none/", nothing)]
for name in "chain", "asks", "none":
    print(client().get(f"/{name}/").status_code)
"""


def test_a_failed_request_names_what_its_exception_came_from(
    core: str, tmp_path: Path
) -> None:
    """As a script does: how exceptions hang together is known while they live. What
    one request asked of another is not its own failure."""
    site = run_site(tmp_path, core, FAILING)
    told = {}
    with Store(site.traced.store) as store:
        for info in store.traces():
            lines = StoryText(tell(store.trace(info.id))).lines()
            text = ["".join(part for part, _ in line).split() for line in lines]
            told[info.row.name] = [" ".join(line) for line in text]
    said, view, cause, call = told["GET /chain/ → 500"]
    assert said == "✗ RuntimeError('outer') failed GET /chain/ (500)"
    assert " chain(request=" in view
    assert cause == "because of KeyError('missing')"
    assert call.endswith(" find(n=1)")
    assert told["GET /asks/ → 500"][0].startswith("✗ RuntimeError('outer') failed")
    assert told["GET /none/ → 500"][0].startswith('✗ ValueError("The view ')
    assert told["GET /none/ → 500"][1].startswith("raised in ")
    site.store.close()
