"""What the report of an evaluation adds to the look of the pages."""

# The colours of the series are told apart by people with any colour vision, and have a contrast
# of 3:1 or more with the page; markers and dashes tell them apart too.
REPORT_STYLE = """
:root{--s0:#0072b2;--s1:#c8500a;--s2:#00805c;--s3:#a6428a;--s4:#2b8fc4;--s5:#a07000;--s6:#5b5f66;
--s7:#6f4bc0;--best:#e3f2e8;--bestink:#0b5d34;--bad:#b3261e;--good:#0b6b3a}
@media(prefers-color-scheme:dark){:root{--s0:#56b4e9;--s1:#ff9e4a;--s2:#3ccba0;--s3:#f08cd0;
--s4:#a9dcff;--s5:#f0c94a;--s6:#c9ced6;--s7:#b99bff;--best:#173526;--bestink:#8fe0b4;
--bad:#ff8a7a;--good:#7fd6a4}}
section>h3{font-size:17px;color:var(--ink);margin:34px 0 4px}
h4{font-size:14px;margin:22px 0 4px}
nav{margin:0 0 24px;font-size:15px;display:flex;flex-wrap:wrap;gap:4px 18px}
nav a{color:var(--second)}
a:focus-visible,summary:focus-visible{outline:2px solid var(--second);outline-offset:2px}
.charts{display:grid;grid-template-columns:repeat(auto-fill,minmax(min(480px,100%),1fr));gap:20px;
margin:18px 0}
.chart-card{background:var(--card);border:1px solid var(--line);border-radius:10px;
padding:14px 16px 10px;max-width:none;min-width:0}
.chart-card figcaption{margin:0 0 8px;min-height:38px;overflow-wrap:anywhere}
.graph{display:block;width:100%;height:auto;max-width:760px}
.graph text{font-size:13px;fill:var(--soft);font-variant-numeric:tabular-nums}
.graph .small{font-size:11.5px}
.graph .title{fill:var(--ink)}
.graph .rule{stroke:var(--line);stroke-width:1}
.graph .axis{stroke:var(--soft)}
.graph polyline,.keys polyline{fill:none;stroke-width:2;stroke-linejoin:round}
polyline.ideal,polyline.random{stroke:var(--soft);stroke-dasharray:2 4}
polyline.oracle{stroke:var(--soft);stroke-dasharray:7 4}
polyline.dashed{stroke-dasharray:8 4}
.graph .stat{stroke:var(--ink);stroke-width:1.5}
.mark{stroke:var(--card);stroke-width:1}
.keys{list-style:none;display:flex;flex-wrap:wrap;gap:2px 16px;margin:6px 0 0;padding:0;
font-size:13px}
.keys li{display:flex;align-items:center;gap:6px;overflow-wrap:anywhere;min-width:0}
.keys svg{flex:none}
table.models{width:auto;min-width:min(100%,620px)}
table.models td{white-space:nowrap;vertical-align:top}
table.models td small,table.models th small{display:block;color:var(--soft);font-size:12px;
font-weight:400}
table.models thead th{overflow-wrap:anywhere;min-width:92px;max-width:220px}
table.models tbody th{min-width:170px}
table.models .group th{font-size:13px;font-weight:600;color:var(--soft);padding-top:18px}
td.best{background:var(--best);color:var(--bestink);font-weight:600}
td.best small{color:inherit}
td.text,th.text{text-align:left;overflow-wrap:anywhere}
.chip{display:inline-block;font:600 12px/1.6 ui-monospace,SFMono-Regular,Menlo,Consolas,monospace;
border:1px solid var(--line);border-radius:6px;padding:0 7px;background:var(--card)}
.failed,.passed{white-space:nowrap}
.failed{color:var(--bad);font-weight:600}.passed{color:var(--good);font-weight:600}
.hidden{position:absolute;width:1px;height:1px;overflow:hidden;clip-path:inset(50%)}
details{margin:12px 0}
summary{cursor:pointer;color:var(--second)}
.frame{display:grid;grid-template-columns:repeat(auto-fill,minmax(min(260px,100%),1fr));
gap:16px 14px;margin:10px 0 22px}
.tiles b{font-size:26px}
.tiles span,.tiles i{overflow-wrap:anywhere}
h1,h2,h3,h4{overflow-wrap:anywhere}
.definitions dt{font-weight:600;margin-top:10px}
.definitions dd{margin:0;max-width:90ch;color:var(--soft)}
""" + ''.join(
    f'polyline.m{i}{{stroke:var(--s{i})}}.mark.m{i},.bar.m{i},circle.m{i}{{fill:var(--s{i})}}\n'
    for i in range(8)
)
