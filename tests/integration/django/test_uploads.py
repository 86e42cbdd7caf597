"""Bodies of requests that are large, packed, or read in some unusual way."""

from __future__ import annotations

import zlib
from pathlib import Path

import pytest

pytest.importorskip("django")

from tests.integration.django.small_site import run_site

SOURCE = '''
import gzip, io, json, resource, zlib
from django.core.wsgi import get_wsgi_application
from django.http import UnreadablePostError
from django.test import RequestFactory

class Generated:
    """So many bytes, which are nowhere before they are read."""
    def __init__(self, size, fails=False):
        self.left, self.fails = size, fails
    def read(self, size=-1):
        if self.fails and self.left < 1000:
            raise OSError("the client went away")
        size = self.left if size < 0 else min(size, self.left)
        self.left -= size
        return b"x" * size
    def readline(self, size=-1):
        return self.read(min(80, self.left))

def streamed(request):
    found = size = 0
    while piece := request.read(1 << 16):
        found, size = zlib.crc32(piece, found), size + len(piece)
    return HttpResponse(f"{size} {found:x}")

def lines(request):
    return HttpResponse(str(sum(len(line) for line in request)))

def packed(request):
    return JsonResponse({"n": json.loads(gzip.decompress(request.body))["n"]})

def lost(request):
    try:
        request.body
    except UnreadablePostError as error:
        return HttpResponse(f"lost: {error}")

def too_big(request):
    return HttpResponse(str(len(request.POST)))

def form_then_body(request):
    request.POST
    try:
        return HttpResponse(str(len(request.body)))
    except RawPostDataException:
        return HttpResponse("too late")

urlpatterns = [path("streamed/", streamed), path("lines/", lines),
    path("packed/", packed), path("lost/", lost), path("too-big/", too_big),
    path("late/", form_then_body), path("late-form/", form_then_body)]
application = get_wsgi_application()

def ask(name, input, size, kind="application/octet-stream", **more):
    environ = RequestFactory().post(f"/{name}/").environ
    environ.update({"wsgi.input": input, "CONTENT_LENGTH": str(size),
                    "CONTENT_TYPE": kind, **more})
    said = []
    response = application(environ, lambda status, headers: said.append(status))
    print(name, said[0][:3], b"".join(response).decode()[:60].splitlines()[0])
    response.close()

before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
ask("streamed", Generated(100 << 20), 100 << 20)
grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
print("grown" if grown > 30_000 else "not grown")
ask("lines", Generated(4000), 4000)
body = gzip.compress(json.dumps({"n": 5, "password": "-".join(["in", "gzip", "1"])}).encode())
ask("packed", io.BytesIO(body), len(body), "application/json",
    HTTP_CONTENT_ENCODING="gzip")
ask("lost", Generated(500, fails=True), 500)
ask("too-big", Generated(9_000_000), 9_000_000, "application/x-www-form-urlencoded")
form = b"a=1&b=2"
ask("late", io.BytesIO(form), len(form), "application/x-www-form-urlencoded")
parts = (b'--B\\r\\nContent-Disposition: form-data; name="a"\\r\\n\\r\\n1\\r\\n--B--\\r\\n')
ask("late-form", io.BytesIO(parts), len(parts), "multipart/form-data; boundary=B")
'''


@pytest.mark.parametrize("core", ["c", "python"])
def test_large_and_odd_bodies_are_read_as_ever(core: str, tmp_path: Path) -> None:
    site = run_site(tmp_path, core, SOURCE)
    assert site.traced.stdout.splitlines() == [
        f"streamed 200 104857600 {zlib.crc32(b'x' * (100 << 20)):x}",
        "not grown",
        "lines 200 4000",
        'packed 200 {"n": 5}',
        "lost 200 lost: the client went away",
        "too-big 400 ",
        "late 200 7",
        "late-form 200 too late",
    ]
    fields = site.fields("POST /streamed/ → 200")
    assert fields["body_note"] == "104,857,600 bytes, application/octet-stream"
    assert site.fields("POST /lines/ → 200")["body_note"].startswith("4,000 bytes")
    assert site.fields("POST /packed/ → 200")["body"] == {"n": 5, "password": "MASKED"}
    assert site.fields("POST /lost/ → 200")["body_note"] == "not read"
    assert site.fields("POST /too-big/ → 400")["body_note"] == "not read"
    assert site.fields("POST /late/ → 200")["body"] == {"a": "1", "b": "2"}
    assert site.fields("POST /late-form/ → 200")["body"] == {"a": "1"}
