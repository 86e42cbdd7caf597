"""Templates of Jinja2."""

from __future__ import annotations

import pytest

from tests.integration.plugins.recording import record

pytest.importorskip("jinja2")

PROGRAM = """
    import asyncio, jinja2
    env = jinja2.Environment(loader=jinja2.DictLoader({
        "page.html": "{% include 'part.html' %} {{ name }}",
        "part.html": "part {{ shout(name) }}",
        "broken.html": "{{ name.missing.more }}",
    }), enable_async=False)
    class Lazy:
        def __str__(self): print("asked"); return "lazy"
    def shout(name): return f"{name}!"
    def run():
        page = env.get_template("page.html")
        print(page.render(name="Ann", shout=shout, lazy=Lazy()))
        print("".join(page.generate({"name": "Bob", "shout": shout})))
        print(jinja2.Template("hello {{ n }}").render(n=3))
        try:
            env.get_template("broken.html").render(name="x")
        except jinja2.UndefinedError as error:
            print(error)
    async def later():
        own = jinja2.Environment(enable_async=True)
        print(await own.from_string("{{ n }}").render_async(n=4))
        return own
    run()
    own = asyncio.run(later())
    print(own.from_string("{{ n }}").render(n=5))
"""


@pytest.mark.parametrize("core", ["c", "python"])
def test_a_template_is_one_record(core, tmp_path):
    recorded = record(tmp_path, PROGRAM, core=core)
    assert recorded.summaries("template") == [
        "page.html", "page.html", "<string>", "broken.html", "<string>", "<string>",
    ]  # fmt: skip
    first = recorded.fields("template")[0]
    assert first["context"] == ["name", "shout", "lazy"]
    assert first["characters"] == len("part Ann! Ann")
    events = recorded.events("template")
    assert [event.exception is not None for event in events] == [
        False, False, False, True, False, False,
    ]  # fmt: skip
