import { Component, createElement, type ComponentType } from 'preact';

/** A component that renders again only when one of its properties, or a signal that it reads, changes. */
export const memo = <Props extends object>(draw: ComponentType<Props>): ComponentType<Props> =>
  class Memo extends Component<Props> {
    override shouldComponentUpdate(next: Props): boolean {
      const before = this.props as Props;
      return Object.keys(next).some((name) => next[name as keyof Props] !== before[name as keyof Props]);
    }

    override render() {
      return createElement(draw, this.props as Props);
    }
  };
