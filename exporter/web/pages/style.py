"""The look of the pages. No page needs anything from elsewhere, and none scrolls sideways at 400 px."""

from collections.abc import Mapping

#: The colours in light and in dark. All texts have a contrast of at least 4.5 : 1 on all that is behind them.
LIGHT: Mapping[str, str] = {
    "ink": "#1c2733",
    "paper": "#f5f7f9",
    "card": "#ffffff",
    "line": "#d3dae1",
    "dim": "#52606c",
    "link": "#1b5e9f",
    "bar": "#2f7bc4",
    "rest": "#e3e9ee",
    "bad": "#ad241c",
    "warn": "#7d4f00",
    "good": "#1a693a",
    "back": "#fdeceb",
}
DARK: Mapping[str, str] = {
    "ink": "#dfe6ed",
    "paper": "#12181f",
    "card": "#1a222b",
    "line": "#35424e",
    "dim": "#9dabb9",
    "link": "#7cb8f2",
    "bar": "#4d9be6",
    "rest": "#2a3540",
    "bad": "#ff8e87",
    "warn": "#e0aa4e",
    "good": "#5cc98a",
    "back": "#3a2022",
}


def _variables(colours: Mapping[str, str]) -> str:
    return " ".join(f"--{name}: {colour};" for name, colour in colours.items())


STYLE = f"""
:root {{ color-scheme: light dark; {_variables(LIGHT)} }}
@media (prefers-color-scheme: dark) {{ :root {{ {_variables(DARK)} }} }}
* {{ box-sizing: border-box; }}
body {{ font: 15px/1.45 system-ui, sans-serif; color: var(--ink); background: var(--paper); margin: 0 auto;
  padding: 1.2rem 1rem 2rem; max-width: 78rem; overflow-wrap: anywhere; }}
a {{ color: var(--link); }}
a:focus-visible {{ outline: 3px solid var(--bar); outline-offset: 2px; border-radius: 2px; }}
.skip {{ position: absolute; left: -100rem; background: var(--card); padding: .5rem .9rem; z-index: 1; }}
.skip:focus {{ left: .5rem; top: .5rem; }}
h1 {{ font-size: 1.35rem; margin: 0 0 .4rem; }} h2 {{ font-size: 1.05rem; margin: 0 0 .4rem; }}
h3 {{ font-size: .95rem; margin: .9rem 0 .3rem; }}
nav ul {{ display: flex; flex-wrap: wrap; gap: .1rem .9rem; list-style: none; margin: 0 0 .6rem; padding: 0; }}
nav a {{ display: inline-block; padding: .25rem 0; }}
a[aria-current] {{ color: var(--ink); font-weight: 600; text-decoration: none;
  border-bottom: 3px solid var(--bar); }}
.dim, caption, th[scope=col], footer {{ color: var(--dim); }}
main {{ display: grid; grid-template-columns: repeat(auto-fit, minmax(min(30rem, 100%), 1fr)); gap: 1rem;
  align-items: start; }}
section {{ background: var(--card); border: 1px solid var(--line); border-radius: 8px; padding: .9rem 1rem;
  min-width: 0; }} .wide {{ grid-column: 1 / -1; min-width: 0; }}
table {{ border-collapse: collapse; width: 100%; font-variant-numeric: tabular-nums; margin: 0 0 .4rem; }}
caption {{ text-align: left; font-size: .88rem; padding: 0 0 .2rem; }}
th {{ text-align: left; font-weight: 500; }} th[scope=col] {{ font-size: .85rem; vertical-align: bottom; }}
th, td {{ padding: .25rem .6rem .25rem 0; vertical-align: top; }} th:last-child, td:last-child {{ padding-right: 0; }}
tbody th, tbody td {{ border-top: 1px solid var(--line); }} tbody th {{ font-weight: 400; }}
.number {{ text-align: right; white-space: nowrap; overflow-wrap: normal; }} .word {{ overflow-wrap: normal; }}
.name {{ min-width: 7rem; }} .number + td:not(.number), .number + th:not(.number) {{ padding-left: .8rem; }}
.bar {{ display: block; height: .35rem; border-radius: 2px; background: var(--rest); overflow: hidden;
  min-width: 4rem; margin-top: .15rem; }}
.bar span {{ display: block; height: 100%; background: var(--bar); }} .bar .full {{ background: var(--bad); }}
.tiles {{ display: grid; grid-template-columns: repeat(auto-fit, minmax(8.5rem, 1fr)); gap: .8rem; list-style: none;
  margin: 0; padding: 0; }}
.tiles a {{ display: block; height: 100%; background: var(--card); border: 1px solid var(--line); border-radius: 8px;
  padding: .6rem .9rem; text-decoration: none; }} .tiles a:hover {{ border-color: var(--link); }}
.tiles b {{ display: block; font-size: 1.3rem; font-weight: 600; color: var(--ink); overflow-wrap: normal; }}
.tiles .bad b {{ color: var(--bad); }} .tiles span {{ text-decoration: underline; }}
.notice {{ border-left: 4px solid var(--bad); background: var(--back); border-radius: 4px; padding: .6rem .9rem;
  margin: 0; }}
.facts {{ margin: 0 0 .8rem; }} .good {{ color: var(--good); }} .bad {{ color: var(--bad); }}
.warn {{ color: var(--warn); }} code {{ font-size: .92em; }} th code {{ overflow-wrap: normal; }}
.runbook {{ display: block; max-width: 60rem; }} .runbook section {{ margin: 0 0 1rem; }}
pre {{ background: var(--paper); border-radius: 4px; padding: .5rem .7rem; margin: .4rem 0; white-space: pre-wrap; }}
li {{ margin: .2rem 0; }} section > ul, ol {{ margin: 0; padding-left: 1.4rem; }}
p {{ margin: .4rem 0; }} p.more {{ color: var(--dim); font-size: .9rem; }}
.links {{ display: flex; flex-wrap: wrap; gap: .2rem 1rem; margin: .2rem 0 .6rem; }}
dl {{ columns: 2 26rem; column-gap: 2rem; margin: 0; }} dt {{ font-weight: 600; break-after: avoid; }}
dd {{ margin: 0 0 .5rem; break-inside: avoid; }}
footer {{ margin-top: 1.5rem; font-size: .88rem; }}
@media (max-width: 50rem) {{
  .stack, .stack tbody, .stack tr, .stack th, .stack td {{ display: block; width: auto; }}
  .stack caption {{ display: block; }}
  .stack thead {{ position: absolute; width: 1px; height: 1px; overflow: hidden; clip-path: inset(50%); }}
  .stack.sorted thead {{ position: static; width: auto; height: auto; clip-path: none; }}
  .stack.sorted thead tr {{ display: flex; flex-wrap: wrap; gap: .2rem .9rem; }}
  .stack.sorted thead tr::before {{ content: "Sort by" / ""; font-size: .85rem; }}
  .stack tbody tr {{ border-top: 1px solid var(--line); padding: .4rem 0; }}
  .stack tbody th, .stack tbody td, .stack thead th {{ border: 0; padding: .05rem 0; min-width: 0; }}
  .stack tbody th {{ font-weight: 600; }}
  .stack tbody td {{ display: flex; flex-wrap: wrap; justify-content: space-between; gap: 0 1rem; text-align: right;
    white-space: normal; }}
  .stack td[data-of]::before {{ content: attr(data-of) / ""; color: var(--dim); text-align: left; }}
  .stack .number + td:not(.number), .stack .number + th:not(.number) {{ padding-left: 0; }}
  .stack .bar {{ flex-basis: 100%; }}
}}
"""
