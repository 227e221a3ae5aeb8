// Draws the panels of a dashboard from Prometheus' answers, with Grafana's own components. Development only.
import React from 'react';
import { createRoot } from 'react-dom/client';
import { createTheme, dateTime, FieldType, getDisplayProcessor, getDisplayValueAlignmentFactors, getValueFormat, ThemeContext } from '@grafana/data';
import { BarGauge, BigValue, BigValueColorMode, BigValueGraphMode, BigValueTextMode, GlobalStyles, PanelChrome, UPlotChart, UPlotConfigBuilder, VizLegend } from '@grafana/ui';

const { dashboard, answers, range, width: WIDTH } = window.PREVIEW;
const theme = createTheme({ colors: { mode: 'dark' } });
// Grafana's own steps for the axes of units with powers of two.
const BINARY = new Set(['bytes', 'binBps']), POWERS = Array.from({ length: 60 }, (_, power) => 2 ** power);
const CELL = 30, GAP = 8;
const palette = theme.visualization.palette.map((name) => theme.visualization.getColorByName(name));
const named = (format, labels) => (format || '').replace(/{{(\w+)}}/g, (_, name) => labels[name] ?? '');
const shown = (panel, value, unit) => {
  const f = getValueFormat(unit ?? panel.fieldConfig.defaults.unit)(value, panel.fieldConfig.defaults.decimals);
  return `${f.prefix ?? ''}${f.text}${f.suffix ?? ''}`;
};
const processor = (panel, config = {}) => getDisplayProcessor({
  field: { type: FieldType.number, config: { ...panel.fieldConfig.defaults, ...config } }, theme });
const last = (series) => Number(series.value ? series.value[1] : series.values[series.values.length - 1][1]);

function Graph({ panel, width, height }) {
  const series = panel.targets.flatMap((target) => (answers[panel.id + target.refId] || []).map((one) => ({
    name: named(target.legendFormat, one.metric), points: new Map(one.values.map(([t, v]) => [t, Number(v)])) })));
  const times = [...new Set(series.flatMap((one) => [...one.points.keys()]))].sort((a, b) => a - b);
  const stacked = panel.fieldConfig.defaults.custom?.stacking?.mode === 'normal';
  const columns = series.map((one) => times.map((t) => one.points.get(t) ?? null));
  const drawn = columns.map((column, index) => stacked
    ? column.map((value, at) => value === null ? null : columns.slice(0, index + 1).reduce((sum, c) => sum + (c[at] ?? 0), 0)) : column);
  const beside = panel.options.legend.placement === 'right';
  const plot = beside ? [width * 0.52, height] : [width, height - Math.min(25 * series.length + 32, height * 0.62)];
  const config = new UPlotConfigBuilder();
  config.addScale({ scaleKey: 'x', isTime: true, orientation: 0, direction: 1, range: () => [range[0] * 1000, range[1] * 1000] });
  config.addAxis({ scaleKey: 'x', isTime: true, placement: 'bottom', theme });
  config.addScale({ scaleKey: 'y', orientation: 1, direction: 1, softMin: panel.fieldConfig.defaults.custom?.axisSoftMin, min: panel.fieldConfig.defaults.min, max: panel.fieldConfig.defaults.max });
  config.addAxis({ scaleKey: 'y', placement: 'left', theme, formatValue: (value) => shown(panel, value), incrs: BINARY.has(panel.fieldConfig.defaults.unit) ? POWERS : undefined });
  series.forEach((_, index) => config.addSeries({ scaleKey: 'y', theme, drawStyle: 'line', lineColor: palette[index % palette.length],
    colorMode: { id: 'fixed', getCalculator: () => () => palette[index % palette.length] }, lineWidth: 1, showPoints: 'never', lineInterpolation: 'linear', fillOpacity: stacked ? 40 : 0, pxAlign: true }));
  if (stacked) series.forEach((_, index) => index && config.addBand({ series: [index + 1, index] }));
  const items = series.map((one, index) => ({ label: one.name, color: palette[index % palette.length], yAxis: 1,
    getDisplayValues: () => ['lastNotNull', 'max'].map((calc) => {
      const values = columns[index].filter((v) => v !== null);
      const value = calc === 'max' ? Math.max(...values) : values[values.length - 1];
      return { title: calc === 'max' ? 'Max' : 'Last', text: shown(panel, value), numeric: value };
    }) }));
  // Grafana scrolls a long legend; a picture cannot.
  const room = beside ? height : height - plot[1], zoom = Math.min(1, room / (25 * series.length + 32), beside ? (width - plot[0]) / 330 : 1);
  return <div style={{ display: beside ? 'flex' : 'block' }}>
    <div style={{ width: plot[0], height: plot[1] }}>
      <UPlotChart config={config} data={[times.map((t) => t * 1000), ...drawn]} width={plot[0]} height={plot[1]}
        timeRange={{ from: dateTime(range[0] * 1000), to: dateTime(range[1] * 1000) }} />
    </div>
    <div style={{ width: beside ? width - plot[0] : width, height: beside ? height : height - plot[1], overflow: 'hidden' }}>
      <div style={{ zoom }}><VizLegend items={items} displayMode="table" placement={beside ? 'right' : 'bottom'} /></div></div>
  </div>;
}

function Numbers({ panel, width, height }) {
  const target = panel.targets[0], found = answers[panel.id + target.refId] || [];
  const display = processor(panel);
  const each = panel.type === 'bargauge' ? height / Math.max(found.length, 1) : height;
  const top = Math.max(...found.map(last), 1);
  const values = found.map((one) => ({ ...display(last(one)), title: found.length > 1 || panel.type !== 'stat' ? named(target.legendFormat, one.metric) : undefined }));
  if (!found.length) return <div style={{ margin: 'auto', color: theme.colors.text.secondary }}>{panel.fieldConfig.defaults.noValue ?? 'No data'}</div>;
  const factors = getDisplayValueAlignmentFactors(values.map((value) => ({ display: value })));
  return found.map((one, index) => {
    const value = values[index];
    if (panel.type === 'bargauge') {
      return <BarGauge key={index} theme={theme} width={width} height={each - 4} value={value} display={display} field={{ ...panel.fieldConfig.defaults, min: 0, max: top, color: { mode: 'thresholds' } }} orientation="horizontal" displayMode="gradient" alignmentFactors={factors} itemSpacing={4} lcdCellWidth={8} text={{ titleSize: 11, valueSize: 12 }} />;
    }
    const course = one.values?.map(([, v]) => Number(v));
    const sparkline = course?.length > 1 ? { y: { name: '', type: FieldType.number, values: course, config: {}, state: {} },
      x: { name: '', type: FieldType.time, values: one.values.map(([t]) => t * 1000), config: {} } } : undefined;
    return <BigValue key={index} theme={theme} width={width / found.length} height={height} value={value} colorMode={BigValueColorMode.Value} graphMode={BigValueGraphMode.Area} sparkline={sparkline} textMode={value.title ? BigValueTextMode.ValueAndName : BigValueTextMode.Value} />;
  });
}

function Listing({ panel, width, height }) {
  const organize = panel.transformations.find((one) => one.id === 'organize').options;
  const labels = Object.keys(organize.indexByName).filter((one) => !one.startsWith('Value')).sort((a, b) => organize.indexByName[a] - organize.indexByName[b]);
  const rows = new Map();
  panel.targets.forEach((target) => (answers[panel.id + target.refId] || []).forEach((one) => {
    const key = labels.map((label) => one.metric[label] ?? '').join('\0');
    if (!rows.has(key)) rows.set(key, Object.fromEntries(labels.map((label) => [label, one.metric[label] ?? ''])));
    rows.get(key)[target.refId] = last(one);
  }));
  const sorted = [...rows.values()].sort((a, b) => (b.A ?? 0) - (a.A ?? 0));
  const configs = new Map(panel.fieldConfig.overrides.map((one) => [one.matcher.options, Object.fromEntries(one.properties.map((p) => [p.id, p.value]))]));
  const configOf = (heading) => configs.get(heading) ?? {};
  const text = (heading, value) => {
    const own = configOf(heading), found = processor(panel, { ...own, color: { mode: 'thresholds' } })(value);
    const mapped = own.mappings?.some((one) => one.type === 'value' && one.options[value]);
    const coloured = own.thresholds || own.mappings;
    return <span style={coloured ? { color: found.color } : {}}>{mapped || own.mappings ? `${found.prefix ?? ''}${found.text}${found.suffix ?? ''}` : shown(panel, value, own.unit)}</span>;
  };
  const named = (heading, value) => {
    const result = configOf(heading).mappings?.find((one) => one.options[value])?.options[value];
    return <span style={{ color: result ? theme.visualization.getColorByName(result.color) : configOf(heading).links ? theme.colors.text.link : undefined }}>{value}</span>;
  };
  if (!rows.size) return <div style={{ margin: 'auto', color: theme.colors.text.secondary }}>{panel.fieldConfig.defaults.noValue ?? 'No data'}</div>;
  const columns = panel.targets.map((target) => ({ id: target.refId,
    heading: organize.renameByName[panel.targets.length > 1 ? `Value #${target.refId}` : 'Value'] }));
  const cell = { padding: '3px 8px', whiteSpace: 'nowrap', overflow: 'hidden', textOverflow: 'ellipsis', maxWidth: 260, borderBottom: `1px solid ${theme.colors.border.weak}` };
  const right = { ...cell, textAlign: 'right' }, fit = Math.floor((height - 28) / 27);
  return <table style={{ width, fontSize: 12, borderCollapse: 'collapse', height: 'fit-content' }}>
    <thead><tr style={{ color: theme.colors.text.link, textAlign: 'left' }}>
      {labels.map((label) => <th key={label} style={cell}>{organize.renameByName[label]}</th>)}
      {columns.map((one) => <th key={one.id} style={right}>{one.heading}</th>)}</tr></thead>
    <tbody>{sorted.slice(0, fit).map((row, index) => <tr key={index}>
      {labels.map((label) => <td key={label} style={cell}>{named(organize.renameByName[label], row[label])}</td>)}
      {columns.map((one) => <td key={one.id} style={right}>{row[one.id] === undefined ? '' : text(one.heading, row[one.id])}</td>)}</tr>)}</tbody>
  </table>;
}

function Panel({ panel }) {
  const { x, y, w, h } = panel.gridPos, width = (w * WIDTH) / 24 - GAP, height = h * CELL - GAP;
  const style = { position: 'absolute', left: (x * WIDTH) / 24, top: y * CELL, width, height };
  if (panel.type === 'row') return <h4 style={{ ...style, margin: 0, lineHeight: `${CELL}px` }}>{panel.title}</h4>;
  const Body = panel.type === 'timeseries' ? Graph : panel.type === 'table' ? Listing : Numbers;
  return <div style={style}><PanelChrome title={panel.title} width={width} height={height} padding="md">
    {(innerWidth, innerHeight) => <div style={{ display: panel.type === 'bargauge' ? 'block' : 'flex' }}><Body panel={panel} width={innerWidth} height={innerHeight} /></div>}
  </PanelChrome></div>;
}

class Guard extends React.Component {
  state = {};
  static getDerivedStateFromError(error) { return { error }; }
  render() { return this.state.error ? <pre>{String(this.state.error)}</pre> : this.props.children; }
}

const height = Math.max(...dashboard.panels.map((panel) => (panel.gridPos.y + panel.gridPos.h) * CELL));
createRoot(document.getElementById('root')).render(
  <ThemeContext.Provider value={theme}><GlobalStyles />
    <div style={{ padding: 16, background: theme.colors.background.canvas, color: theme.colors.text.primary, width: WIDTH + 32, fontFamily: 'Inter, sans-serif' }}>
      <div style={{ fontSize: 14, marginBottom: 12 }}><b>{dashboard.title}</b> — a preview, not Grafana itself: the dashboard's panels, drawn with @grafana/ui from a Prometheus that scraped a busy example host</div>
      <div style={{ position: 'relative', height, width: WIDTH }}>{dashboard.panels.map((panel) => <Guard key={panel.id + panel.title}><Panel panel={panel} /></Guard>)}</div>
    </div>
  </ThemeContext.Provider>);
