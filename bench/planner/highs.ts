/** The few parts of the package `highs` that the bound needs: it is installed here only, so its types are not the root's. */
export interface Solver {
  readonly infinity: number;
  createModel(data: LinearProgram): SolverModel;
}

export interface SolverModel {
  readonly options: { set(options: Readonly<Record<string, unknown>>): void };
  run(): unknown;
  getObjectiveValue(): number;
  getModelStatus(): number;
  dispose(): void;
}

export interface LinearProgram {
  readonly numCols: number;
  readonly numRows: number;
  /** 1 minimises, -1 maximises. */
  readonly sense: 1 | -1;
  readonly colCost: Float64Array;
  readonly colLower: Float64Array;
  readonly colUpper: Float64Array;
  readonly rowLower: Float64Array;
  readonly rowUpper: Float64Array;
  readonly matrix: {
    readonly format: 'csc';
    readonly numRows: number;
    readonly numCols: number;
    readonly starts: Int32Array;
    readonly indices: Int32Array;
    readonly values: Float64Array;
  };
}

/** Of HiGHS's model statuses. Empty: no time in it in which anything could travel. */
const EMPTY = 6;
const OPTIMAL = 7;
const INFEASIBLE = 8;

/** @throws when `npm ci` has not been run in bench/planner */
export async function loadSolver(): Promise<Solver> {
  const name: string = 'highs';
  try {
    const { default: load } = (await import(name)) as { default: () => Promise<Solver> };
    return await load();
  } catch (error) {
    throw new Error('the solver is missing: run npm ci in bench/planner', { cause: error });
  }
}

/** The best value of a linear program, null if nothing is feasible. */
export function solve(solver: Solver, program: LinearProgram): number | null {
  const model = solver.createModel(program);
  try {
    model.options.set({ output_flag: false, time_limit: 120 });
    model.run();
    const status = model.getModelStatus();
    if (status === INFEASIBLE) return null;
    if (status === EMPTY) return 0;
    if (status !== OPTIMAL) throw new Error(`the solver ended with status ${status}`);
    return model.getObjectiveValue();
  } finally {
    model.dispose();
  }
}
