import type { Bin } from '../../api';
import { number } from '../../pure/format';

const SIZE = 200;

/** How often what was forecast came true: on the diagonal, chances are what they say. */
export function Reliability({ bins, needed }: { bins: Bin[]; needed: number }) {
  const points = bins
    .filter((bin) => bin.forecasts > 0)
    .map((bin) => ({ said: bin.sum / bin.forecasts, came: bin.cameTrue / bin.forecasts, count: bin.forecasts }));
  const y = (share: number) => SIZE - share * SIZE;
  const words = points.map(({ said, came, count }) => `${number(100 * said, 0)} % came true in ${number(100 * came, 0)} % of ${number(count, 0)}`);
  return (
    <figure class="reliability">
      <h3>Are its chances right?</h3>
      <svg viewBox={`-42 -8 ${SIZE + 50} ${SIZE + 44}`} role="img" aria-label={`Reliability of forecast chances. ${words.join('; ') || 'No forecast has been judged yet.'}`}>
        <path class="frame" d={`M0 0V${SIZE}H${SIZE}`} />
        <path class="diagonal" d={`M0 ${SIZE}L${SIZE} 0`} />
        <path class="needed" d={`M${needed * SIZE} 0V${SIZE}`} />
        <polyline points={points.map(({ said, came }) => `${said * SIZE},${y(came)}`).join(' ')} />
        {points.map(({ said, came, count }) => <circle key={said} cx={said * SIZE} cy={y(came)} r={2 + Math.min(5, Math.log10(count))}><title>{`${number(100 * said, 0)} % forecast, ${number(100 * came, 0)} % of ${number(count, 0)} came true`}</title></circle>)}
        <text x={-6} y={8} text-anchor="end">100 %</text><text x={-6} y={SIZE} text-anchor="end">0 %</text>
        <text x={0} y={SIZE + 16}>0 %</text><text x={SIZE} y={SIZE + 16} text-anchor="end">100 %</text>
        <text x={SIZE / 2} y={SIZE + 30} text-anchor="middle">forecast chance → came true ↑</text>
      </svg>
      {points.length === 0 && <figcaption class="soft">No forecast has been judged yet.</figcaption>}
    </figure>
  );
}
